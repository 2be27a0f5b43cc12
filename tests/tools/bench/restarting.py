"""How long a purchase takes at most while Postgres is restarted, and which presses are put off.

As for a new release of it: its sessions are ended, and it is back after a second or two.
"""

import time
from collections.abc import Callable

from tests.tools.bench.figures import Figures
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import Basket
from tests.tools.bench.shopping import A_SECOND, add_to, buy, shop
from tests.tools.bench.stage import Stage
from tests.tools.drill.chaos import Event


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("Postgres restarted")
    shoppers = options.pick(quick=60, full=200, tiny=5)
    # Shares of the time in which they come.
    moments = options.pick(quick=(0.25, 0.5, 0.75), full=(0.25, 0.5, 0.75), tiny=(0.5,))
    bought, notes = [], []
    for number in range(options.pick(quick=1, full=3, tiny=1)):
        options.say(f"{shoppers} shoppers while Postgres is restarted, round {number}")
        with shop(stage, f"restarting{number}") as open_shop:
            stage.checkpoint()  # a restart is not to write what earlier parts left
            away: list[float] = []
            restart = restarting(stage, away)
            events = [Event(moment * shoppers / A_SECOND, "restart", restart) for moment in moments]
            bought.append(buy(open_shop, Basket().filled(shoppers), events))
        longest = f"longest {max(away):.1f} s" if away else "none"
        notes.append(f"{shoppers} shoppers, restarts: {len(away)}, {longest}")
    add_to(figures, bought, notes)
    return figures


def restarting(stage: Stage, away: list[float]) -> Callable[[], bool]:
    def strike() -> bool:
        began = time.monotonic()
        stage.restart_postgres()
        away.append(time.monotonic() - began)
        return True

    return strike
