"""Placing over HTTP, through the real server, against pgbench with the very same SQL.

Each press is of a shopper of its own: session, CSRF, token, cart, limits, stock, order, lines,
event, mail and outbox message, in one POST. Carts are filled and pages opened beforehand.
"""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from itertools import count

from tests.bench.figures import Contender, Figures, Round, take_turns
from tests.bench.options import Options
from tests.bench.pgbench import Pgbench
from tests.bench.purchases import Purchase, fill_carts, press, stock_shelves
from tests.bench.stage import FOLDER, ROOT, WEB_PROCESSES, Stage, web_threads
from tests.bench.statements import script, statements_in, varying_inputs, varying_outcomes

# A thread of the web processes each, and a connection of pgbench's each.
CLIENTS = WEB_PROCESSES * web_threads()

# The numbers of purchases begin here: no number of a statement is mistaken for another.
FIRST = 1_000_000


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("placing")
    stage.make_database("placing")
    stage.use("placing")
    stock_shelves()
    set_sequences_apart()
    statements, placed_by_pgbench = the_same_sql(stage)
    each = options.pick(quick=30, full=250)
    with stage.web() as ports:
        over_http = OverHttp(ports)
        contenders: dict[str, Contender] = {
            "over HTTP": over_http.turn_of(each),
            "pgbench": SameSql(stage.url("placing"), placed_by_pgbench).turn_of(each),
            "pgbench, prepared": SameSql(
                stage.url("placing"), placed_by_pgbench, "prepared"
            ).turn_of(each),
        }
        turns = take_turns(contenders, rounds=options.pick(quick=3, full=7), say=options.say)
    for name, rounds in turns.items():
        figures.add_contender(name, rounds)
    figures.add("statements", "a placing", [len(statements)], note="; ".join(map(head, statements)))
    rates = {name: [turn.a_second for turn in rounds] for name, rounds in turns.items()}
    figures.add_ratio("over HTTP ÷ pgbench", rates["over HTTP"], rates["pgbench"])
    figures.add_ratio(
        "over HTTP ÷ pgbench, prepared", rates["over HTTP"], rates["pgbench, prepared"]
    )
    stage.drop_database("placing")
    return figures


def head(statement: str) -> str:
    return " ".join(statement.split()[:3])


def set_sequences_apart() -> None:
    """So that no id is taken for another, or for a quantity, when statements are compared."""
    from django.db import connection

    with connection.cursor() as cursor:
        for position, table in enumerate(("orders_order", "orders_orderevent", "orders_mail")):
            first = (7 + position) * 1_000_000
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {first})")


numbers = count(FIRST)


def next_purchases(how_many: int, *, lines: int = 3, products: int = 1000) -> list[Purchase]:
    made = [Purchase(next(numbers), lines, products) for _ in range(how_many)]
    fill_carts(made)
    return made


def the_same_sql(stage: Stage, *, lines: int = 3, products: int = 1000) -> tuple[list[str], str]:
    """What one placing says to Postgres, and the script of it for pgbench."""
    purchases = next_purchases(5, lines=lines, products=products)
    logs = []
    with stage.web(processes=1, threads=1) as ports:
        over_http = OverHttp(ports, connections=1)
        over_http.press(purchases[:3])  # connections made, statements prepared
        stage.set_server("log_statement", "all")
        try:
            for purchase in purchases[3:]:
                before = len(stage.postgres_log())
                over_http.press([purchase])
                logs.append(statements_in(stage.postgres_log()[before:]))
        finally:
            stage.set_server("log_statement", "none")
    first, second = purchases[3:]
    rules = varying_inputs(first, second) + varying_outcomes(first, second)
    return logs[0], script(logs[0], logs[1], rules, clients=":first + :each * :client_id + :k")


class OverHttp:
    def __init__(self, ports: Sequence[int], *, connections: int = CLIENTS) -> None:
        self._ports = ports
        self._connections = connections

    def turn_of(self, each: int, *, lines: int = 3, products: int = 1000) -> Contender:
        def turn(number: int) -> Round:
            return self.press(
                next_purchases(each * self._connections, lines=lines, products=products)
            )

        return turn

    def press(self, purchases: Sequence[Purchase], *, a_second: float = 0) -> Round:
        told = self.send([press(purchase) for purchase in purchases], a_second=a_second)
        if told["statuses"] != {"303": len(purchases)}:
            raise RuntimeError(f"Not every press was answered with its order: {told['statuses']}")
        return Round(len(purchases) / told["took"], told["seconds"])

    def send(self, requests: Sequence[bytes], *, a_second: float = 0) -> dict[str, object]:
        file = FOLDER / f"requests-{os.getpid()}.pickle"
        file.write_bytes(pickle.dumps(requests))
        command = [sys.executable, "-m", "tests.bench.load", str(file)]
        command += ["--ports", *map(str, self._ports), f"--connections={self._connections}"]
        try:
            ran = subprocess.run(
                [*command, f"--a-second={a_second}"],
                cwd=ROOT,
                check=True,
                stdout=subprocess.PIPE,
            )
        finally:
            file.unlink()
        told: dict[str, object] = json.loads(ran.stdout)
        return told


class SameSql:
    """pgbench, with as many clients as the web processes have threads."""

    def __init__(self, url: str, script: str, protocol: str = "simple") -> None:
        self._url = url
        self._script = script
        self._protocol = protocol

    def turn_of(self, each: int, *, lines: int = 3, products: int = 1000) -> Contender:
        def turn(number: int) -> Round:
            first = next_purchases(each * CLIENTS, lines=lines, products=products)[0].n
            bench = Pgbench(self._url, self._script, self._protocol)
            rate, seconds = bench.run(clients=CLIENTS, each=each, first=first, k=-1)
            return Round(rate, seconds)

        return turn
