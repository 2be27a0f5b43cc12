"""How long a purchase takes at most while the worker's processes are killed, one every few seconds.

As the machine kills what takes too much of its memory: by SIGKILL, in the midst of payments.
"""

import os
import random
import signal
from collections.abc import Callable

from config.local.processes import Child
from tests.tools.bench.figures import Figures
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import Basket
from tests.tools.bench.shopping import A_SECOND, add_to, buy, shop
from tests.tools.bench.stage import Stage
from tests.tools.bench.worker_processes import settling_processes
from tests.tools.drill.chaos import Event

EVERY_SECONDS = 3.0

# Processes are killed for so long after the last shopper has come. That is longer than the goal, so
# that none has it easier than the others.
AFTER_THE_LAST_SECONDS = 10.0


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("worker killed")
    shoppers = options.pick(quick=60, full=200, tiny=10)
    every = options.pick(quick=EVERY_SECONDS, full=EVERY_SECONDS, tiny=1.5)
    bought, notes = [], []
    for number in range(options.pick(quick=1, full=3, tiny=1)):
        options.say(f"{shoppers} shoppers while the worker's processes are killed, round {number}")
        with shop(stage, f"killing{number}") as open_shop:
            times = int((shoppers / A_SECOND + AFTER_THE_LAST_SECONDS) / every)
            killed: list[int] = []
            events = [
                Event(number * every, "kill", kill_one(open_shop.worker, killed))
                for number in range(1, times + 1)
            ]
            bought.append(buy(open_shop, Basket().filled(shoppers), events))
        notes.append(f"{shoppers} shoppers, processes killed: {len(killed)}")
    add_to(figures, bought, notes)
    return figures


def kill_one(worker: Child, killed: list[int]) -> Callable[[], bool]:
    """Of those that settle. The one that watches over them stays, and so does whoever is giving
    back what an earlier victim had in flight."""

    def strike() -> bool:
        if not worker.is_running:
            raise RuntimeError(f"The whole worker ended. Its log is {worker.log}.")
        if not (settling := settling_processes(worker.pid)):
            return False
        victim = random.choice(settling)
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)
        return True

    return strike
