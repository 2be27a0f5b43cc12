"""The same speed whatever the past, and what a large cart and a flash sale cost.

Two databases on one server: a shop of 10,000 orders and one of 1,000,000, with all that is written
down about them. The contenders take turns on both.
"""

from contextlib import ExitStack

from tests.tools.bench import orders
from tests.tools.bench.figures import Contender, Figures, Round, take_turns
from tests.tools.bench.history import load
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import Basket, OverHttp
from tests.tools.bench.placing import prepare
from tests.tools.bench.purchases import FIRST_PRODUCT
from tests.tools.bench.settling import worker
from tests.tools.bench.stage import Stage

SHORT, LONG = "short", "long"

# Pieces of the last product, and presses for it.
LEFT, WANTED = 40, 80


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("growth")
    pasts = {SHORT: options.pick(quick=2_000, full=10_000, tiny=100)}
    pasts[LONG] = options.pick(quick=20_000, full=1_000_000, tiny=300)
    for name, past in pasts.items():
        _load(stage, options, name, past)
    with ExitStack() as started:
        ports = {}
        for name in pasts:
            stage.use(name)
            ports[name] = started.enter_context(stage.web())
        names = {SHORT: f"{pasts[SHORT]:,} orders", LONG: f"{pasts[LONG]:,} orders"}
        _place(stage, options, figures, ports, names)
        stage.use(SHORT)
        _place_otherwise(options, figures, OverHttp(ports[SHORT]))
        figures.add("oversold in a flash sale", "pieces", [_oversold(ports[SHORT])])
    _settle(stage, options, figures, names)
    figures.add("deadlocks", "in all", [stage.count_in_log("deadlock detected")])
    for name in pasts:
        stage.drop_database(name)
    return figures


def _load(stage: Stage, options: Options, name: str, past: int) -> None:
    prepare(stage, name)
    with stage.not_durable():  # what is loaded is on the disk when it ends
        load(past, progress=lambda done: options.say(f"loading {done:,} of {past:,} orders"))


def _place(
    stage: Stage,
    options: Options,
    figures: Figures,
    ports: dict[str, list[int]],
    names: dict[str, str],
) -> None:
    each = options.pick(quick=15, full=60, tiny=1)

    def on(database: str) -> Contender:
        def turn(number: int) -> Round:
            stage.use(database)
            return OverHttp(ports[database]).turn_of(each)(number)

        return turn

    contenders = {f"placing at {names[name]}": on(name) for name in (LONG, SHORT)}
    rounds = options.pick(quick=1, full=4, tiny=1)
    turns = take_turns(contenders, rounds=rounds, say=options.say)
    for name, taken in turns.items():
        figures.add_contender(name, taken)
    long, short = turns.values()
    figures.add_ratio("placing, long ÷ short past", long, short)


def _place_otherwise(options: Options, figures: Figures, over_http: OverHttp) -> None:
    each = options.pick(quick=10, full=40, tiny=1)
    baskets = {
        "flash sale": Basket(is_flash_sale=True),
        "a thousand products": Basket(),
        "1 line": Basket(lines=1),
        "50 lines": Basket(lines=50),
    }
    contenders = {
        name: OverHttp(over_http.ports, basket).turn_of(each) for name, basket in baskets.items()
    }
    rounds = options.pick(quick=1, full=3, tiny=1)
    turns = take_turns(contenders, rounds=rounds, say=options.say)
    for name, taken in turns.items():
        figures.add(f"placing, {name}", "orders/s", [turn.a_second for turn in taken])
    figures.add_ratio(
        "flash sale ÷ a thousand products", turns["flash sale"], turns["a thousand products"]
    )
    figures.add_ratio("50 lines ÷ 1 line", turns["50 lines"], turns["1 line"])


def _oversold(ports: list[int]) -> float:
    """How many more were sold than there were, when more want the last pieces than can have one."""
    from checkout.catalogue.models import Product

    last = Product.objects.filter(pk=FIRST_PRODUCT)
    last.update(stock=LEFT)
    presses = OverHttp(ports).send(Basket(is_flash_sale=True).filled(WANTED))
    if set(presses.statuses) != {"303", "409"}:
        raise RuntimeError(f"A flash sale was answered with {presses.statuses}")
    return presses.statuses["303"] - LEFT + last.get().stock


def _settle(stage: Stage, options: Options, figures: Figures, names: dict[str, str]) -> None:
    many = options.pick(quick=100, full=500, tiny=10)

    def on(database: str) -> Contender:
        def turn(number: int) -> Round:
            stage.use(database)
            with stage.queue() as queue:
                numbers = orders.place(many, published=True)
                queue.send(numbers)
                with worker(stage):
                    orders.await_settled()
            return Round(orders.settled_a_second(numbers), [])

        return turn

    contenders = {f"settling at {names[name]}": on(name) for name in (LONG, SHORT)}
    for name in names:  # orders of the measures above are not to be waited for
        stage.use(name)
        orders.forget_unsettled()
    rounds = options.pick(quick=1, full=3, tiny=1)
    turns = take_turns(contenders, rounds=rounds, say=options.say, warm_up=False)
    for name, taken in turns.items():
        figures.add(name, "orders/s", [turn.a_second for turn in taken])
    long, short = turns.values()
    figures.add_ratio("settling, long ÷ short past", long, short)
