"""Placing over HTTP, through the real server, against pgbench with the very same SQL.

Each press is of a shopper of its own: session, CSRF, token, cart, limits, stock, order, lines,
event, mail and outbox message, in one POST. Carts are filled and pages opened beforehand.
"""

from dataclasses import dataclass

from tests.tools.bench.figures import Contender, Figures, Round, take_turns
from tests.tools.bench.in_process import in_process
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import CLIENTS, Basket, OverHttp
from tests.tools.bench.pgbench import Pgbench
from tests.tools.bench.purchases import stock_shelves
from tests.tools.bench.stage import WEB_PROCESSES, Stage
from tests.tools.bench.statements import (
    heads,
    script,
    set_sequences_apart,
    statements_in,
    vary,
    varying_inputs,
    varying_outcomes,
)

PLAIN = "tests.tools.bench.contenders.plain_wsgi"


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("placing")
    prepare(stage, "placing")
    sql = the_same_sql(stage)
    figures.add(
        "statements, BEGIN and COMMIT included",
        "a placing",
        [len(sql.statements)],
        note=heads(sql.statements),
    )
    each = options.pick(quick=25, full=100, tiny=1)
    processes = options.pick(quick=WEB_PROCESSES, full=WEB_PROCESSES, tiny=1)
    with (
        stage.web(processes=processes) as ports,
        stage.web(PLAIN, processes=processes) as plain_ports,
    ):
        contenders = {
            "over HTTP": OverHttp(ports).turn_of(each),
            "pgbench": sql.turn_of(each, "simple"),
            "pgbench, prepared": sql.turn_of(each, "prepared"),
            "plain ORM view": OverHttp(plain_ports).turn_of(each),
        }
        rounds = options.pick(quick=2, full=4, tiny=1)
        turns = take_turns(contenders, rounds=rounds, say=options.say, warm_up=not options.tiny)
        _check_same_work(sql, OverHttp(ports))
    for name, taken in turns.items():
        figures.add_contender(name, taken)
    for other in ("pgbench", "pgbench, prepared", "plain ORM view"):
        figures.add_ratio(f"over HTTP ÷ {other}", turns["over HTTP"], turns[other])
    in_process(stage, options, figures)
    figures.add("checkout page", "statements", statements_of_the_page())
    stage.drop_database("placing")
    return figures


def _check_same_work(sql: "SameSql", over_http: OverHttp) -> None:
    """That pgbench leaves behind what a press leaves behind, table by table."""
    from checkout.models import Cart
    from checkout.orders.models import Order

    left = []
    for turn in (over_http.turn_of(1), sql.turn_of(1, "simple")):
        before = Order.objects.order_by("-id").values_list("id", flat=True)[0]
        turn(0)
        new = Order.objects.filter(id__gt=before)
        closed = Cart.objects.filter(pk__in=new.values("checkout_id"), closed_at__isnull=False)
        related = ("lines", "events", "mails", "outbox_messages")
        rows = {name: new.filter(**{f"{name}__isnull": False}).count() for name in related}
        left.append(rows | {"orders": new.count(), "carts": closed.count()})
    if left[0] != left[1]:
        raise RuntimeError(f"A press leaves {left[0]}, pgbench leaves {left[1]}")


# Lines of a cart, and how many delivery methods and tax rates are there beside the first.
SIZES = [(1, 0), (5, 0), (20, 15)]


def statements_of_the_page() -> list[int]:
    """How many statements the checkout page makes, for carts and rules of each size."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from tests.support.rules import delivery_method, tax_rate

    made = []
    for lines, more in SIZES:
        for n in range(more):
            delivery_method(f"Method {n}", {"DE": n, "": n})
            tax_rate("DE", str(n), region=f"R{n}")
        [purchase] = Basket(lines=lines).filled(1)
        browser = Client()
        browser.cookies["sessionid"] = purchase.session_key
        with CaptureQueriesContext(connection) as said:
            status = browser.get("/checkout/").status_code
        if status != 200:
            raise RuntimeError(f"The checkout page answered {status}")
        made.append(len(said))
    return made


def prepare(stage: Stage, database: str) -> None:
    stage.make_database(database)
    stage.use(database)
    stock_shelves()
    set_sequences_apart()


@dataclass(frozen=True)
class SameSql:
    """What one placing says to Postgres, on a database."""

    url: str
    statements: list[str]
    script: str
    basket: Basket

    def turn_of(self, each: int, protocol: str) -> Contender:
        """With as many clients as the web processes have threads. `simple` is how pgbench asks
        unless it is told otherwise; `prepared` lets Postgres read each statement once."""

        def turn(number: int) -> Round:
            first = self.basket.filled(each * CLIENTS)[0].n
            bench = Pgbench(self.url, self.script, protocol)
            rate, seconds = bench.run(clients=CLIENTS, each=each, first=first, k=-1)
            return Round(rate, seconds)

        return turn


# The web processes' first presses connect, prepare and import.
WARM_UP = 6


def the_same_sql(stage: Stage, basket: Basket | None = None) -> SameSql:
    """Of the database in use, as the server logs it while two are made."""
    basket = basket or Basket()
    purchases = basket.filled(WARM_UP + 2)
    first, second = purchases[WARM_UP:]
    with stage.web(processes=1, threads=1) as ports:
        over_http = OverHttp(ports, basket, connections=1)
        over_http.place(purchases[:WARM_UP])
        logs = []
        for purchase in (first, second):
            with stage.statements_logged() as said:
                over_http.place([purchase])
            logs.append(statements_in("".join(said), of="web"))
    rules = varying_inputs(first, second) + varying_outcomes(first, second)
    return SameSql(stage.url_in_use, logs[0], script(vary(logs[0], logs[1], rules)), basket)
