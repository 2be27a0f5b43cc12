"""What the shop says to Postgres for one order, and the same as a script for pgbench.

Taken from the server's own log while two purchases are made over HTTP, so it is whatever the
product sends today. What differs between the two is replaced by an expression of the purchase's
number; what is not known to differ stops the benchmark.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.tools.bench.purchases import FIRST_PRODUCT, LINE_STRIDE, PRODUCTS, STRIDE, Purchase

ENTRY = re.compile(r"^(\w*)\|(\d+)\|(LOG|DETAIL|ERROR):  (.*)$")
STATEMENT = re.compile(r"(?:statement|execute [^:]*): (.*)", re.DOTALL)
PARAMETER = re.compile(r"\$(\d+) = ('(?:[^']|'')*'|NULL)")

# Strings, and numbers that stand alone.
LITERAL = re.compile(r"""('(?:[^']|'')*'|(?<![\w.$"])\d+(?![\w."]))""")

UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")

COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)

TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?\+\d\d(?::?\d\d)?")

# A connection that is used again is asked whether it lives, and a worker looks twice a second
# whether payments are paused. That is not said for an order, so the limit is measured without it.
ASIDE = re.compile(r"^SELECT 1$|orders_paymentspause")

# What pgbench takes for a variable, also within a string.
VARIABLE = re.compile(r":(?=[A-Za-z_])")


class CannotVary(Exception):
    """A statement differs between two purchases in a way that the benchmark does not know."""


def set_sequences_apart() -> None:
    """So that no id is taken for another, or for a quantity."""
    from django.db import connection

    tables = ["orders_order", "orders_orderevent", "orders_mail"]
    tables += ["payments_payment", "payments_paymentattempt"]
    with connection.cursor() as cursor:
        for millions, table in enumerate(tables, 7):
            sequence = f"pg_get_serial_sequence('{table}', 'id')"
            cursor.execute(f"SELECT setval({sequence}, {millions * 1_000_000})")


def heads(statements: Sequence[str]) -> str:
    return "; ".join(" ".join(statement.split()[:3]) for statement in statements)


def statements_in(log: str, *, of: str) -> list[str]:
    """Of that program's busiest connection, with their parameters in place."""
    by_connection: dict[str, list[str]] = {}
    for program, connection, kind, text in entries(log):
        said = by_connection.setdefault(connection, [])
        if program != of:
            continue
        if kind == "LOG" and (statement := STATEMENT.match(text)):
            said.append(statement[1].strip())
        elif kind == "DETAIL" and said and text.lower().startswith("parameters:"):
            said[-1] = _with_parameters(said[-1], text)
    busiest = max(by_connection.values(), key=len, default=[])
    return [COMMENT.sub("", said) for said in busiest if not ASIDE.search(said)]


def entries(log: str) -> list[tuple[str, str, str, str]]:
    """Program, connection, kind, and a text that may have several lines."""
    found: list[tuple[str, str, str, str]] = []
    for line in log.splitlines():
        if line.startswith("\t") and found:
            *whose, text = found[-1]
            found[-1] = (*whose, f"{text}\n{line[1:]}")  # type: ignore[assignment] # still four
        elif entry := ENTRY.match(line):
            found.append((entry[1], entry[2], entry[3], entry[4]))
    return found


def _with_parameters(statement: str, detail: str) -> str:
    values = dict(PARAMETER.findall(detail))
    return re.sub(r"\$(\d+)", lambda found: values[found[1]], statement)


@dataclass(frozen=True)
class Varying:
    """A value of the first purchase, the same of the second, and how SQL makes one of any."""

    first: str
    second: str
    expression: str


# n is the purchase's number, a variable of pgbench.
N = "(:n)::bigint"


def md5(salt: str) -> str:
    return f"md5('{salt}' || {N})"


def varying_inputs(first: Purchase, second: Purchase) -> list[Varying]:
    """What follows from the purchase's number."""
    rules = [
        Varying(first.session_key, second.session_key, md5("s")),
        Varying(str(first.cart), str(second.cart), f"{md5('c')}::uuid"),
        Varying(first.cart.hex, second.cart.hex, md5("c")),
        Varying(first.email, second.email, f"('shopper' || {N} || '@example.com')"),
        Varying(first.email.upper(), second.email.upper(), f"('SHOPPER' || {N} || '@EXAMPLE.COM')"),
    ]
    for line in range(first.lines):
        product = f"({FIRST_PRODUCT} + ({N} * {STRIDE} + {line * LINE_STRIDE}) % {PRODUCTS})"
        rules.append(Varying(str(first.product(line)), str(second.product(line)), product))
        name = f"lpad(({product} - {FIRST_PRODUCT})::text, 4, '0')"
        names = [f"{p.product(line) - FIRST_PRODUCT:04d}" for p in (first, second)]
        for prefix in ("SKU-", "Notebook "):
            values = [f"{prefix}{name}" for name in names]
            rules.append(Varying(values[0], values[1], f"('{prefix}' || {name})"))
    return rules


def varying_outcomes(first: Purchase, second: Purchase) -> list[Varying]:
    """What the shop or the database made up for their orders."""
    from checkout.orders.models import Order

    one, other = (Order.objects.get(checkout_id=purchase.cart) for purchase in (first, second))
    rules = [
        Varying(getattr(one, name), getattr(other, name), expression)
        for name, expression in {
            "content_digest": f"({md5('a')} || {md5('b')})",
            "basket_digest": f"({md5('g')} || {md5('h')})",
            "from_session": md5("v"),
            "from_address": md5("w"),
            "reference": f"left({md5('r')}, 22)",
            "traceparent": f"('00-' || {md5('t')} || '-' || left({md5('u')}, 16) || '-01')",
        }.items()
    ]
    events = [order.events.get() for order in (one, other)]
    return [
        *rules,
        Varying(str(one.pk), str(other.pk), "(:order_id)::bigint"),
        Varying(str(events[0].pk), str(events[1].pk), "(:event_id)::bigint"),
    ]


@dataclass(frozen=True)
class Varied:
    """A statement of any purchase, and the variable that the id of its answer goes into."""

    sql: str
    keep: str = ""

    @property
    def prefix(self) -> str:
        """What the columns of the answer are kept under: each with this before its name."""
        return self.keep.removesuffix("attempt_id").removesuffix("id")


# The variables that hold ids, and the table that they are of. One table twice: two rows.
KEPT = {"order_id": "orders_order", "event_id": "orders_orderevent"}


def vary(
    first: Sequence[str],
    second: Sequence[str],
    rules: Sequence[Varying],
    kept: Mapping[str, str] = KEPT,
) -> list[Varied]:
    if len(first) != len(second):
        raise CannotVary(f"One is made by {len(first)} statements, another by {len(second)}.")
    varied = [Varied(_vary(*pair, rules)) for pair in zip(first, second, strict=True)]
    for variable, table in kept.items():
        needed = [n for n, said in enumerate(varied) if f"(:{variable})" in said.sql]
        if needed:
            source = _source(varied[: needed[0]], table)
            varied[source] = Varied(varied[source].sql, variable)
    return varied


def _source(said: Sequence[Varied], table: str) -> int:
    """Which statement answers with the id of a new row, or of the one that it finds."""
    for told in (f'INSERT INTO "?{table}"?.* RETURNING ', f'^SELECT .* FROM "?{table}"?'):
        for position, statement in enumerate(said):
            if not statement.keep and re.search(told, statement.sql, re.DOTALL):
                return position
    raise CannotVary(f"Nobody answers with an id of {table}.")


def script(varied: Sequence[Varied]) -> str:
    """For pgbench: each transaction makes the next purchase of its client.

    Variables: `first` is the number of the first purchase, each client makes `each` of them, and k
    counts those from -1.
    """
    lines = [r"\set k :k + 1", r"\set n :first + :each * :client_id + :k"]
    for statement in varied:
        keep = f" \\gset {statement.prefix}" if statement.keep else ";"
        lines.append(f"{statement.sql}{keep}")
    return "\n".join(lines) + "\n"


def _vary(first: str, second: str, rules: Sequence[Varying]) -> str:
    parts, others = LITERAL.split(first), LITERAL.split(second)
    if len(parts) != len(others) or parts[::2] != others[::2]:
        raise CannotVary(f"Two purchases are not made alike:\n{first}\n{second}")
    for position in range(1, len(parts), 2):
        parts[position] = _varied(parts[position], others[position], rules)
    return "".join(parts)


def _varied(one: str, other: str, rules: Sequence[Varying]) -> str:
    """SQL for a literal of any purchase."""
    is_text = one.startswith("'")
    one_value, other_value = one.strip("'"), other.strip("'")
    if one_value == other_value and not SHARD.search(one):
        return _without_variables(one)
    if TIME.fullmatch(one_value):
        return _since(one_value)
    for rule in rules:
        if (one_value, other_value) == (rule.first, rule.second):
            return rule.expression
    if UUID.fullmatch(one_value) and UUID.fullmatch(other_value):
        return "gen_random_uuid()"  # made for this one statement
    if is_text and (pieces := _pieces(one_value, other_value, rules)):
        return f"({' || '.join(pieces)})"
    raise CannotVary(f"Nobody knows how {one} of one purchase becomes {other} of another.")


def _pieces(one: str, other: str, rules: Sequence[Varying]) -> list[str]:
    """A string that holds values among other things, such as an array or JSON."""
    if (shard := SHARD.search(one)) and (other_shard := SHARD.search(other)):
        left = _pieces(one[: shard.start(1)], other[: other_shard.start(1)], rules)
        right = _pieces(one[shard.end() :], other[other_shard.end() :], rules)
        return [*left, f"floor(random() * {SHARDS})::int", *right] if left and right else []
    if one == other:
        return [_without_variables(f"'{one}'")]
    for rule in sorted(rules, key=lambda rule: -len(rule.first)):
        before, found, after = one.partition(rule.first)
        other_before, found_too, other_after = other.partition(rule.second)
        if found and found_too:
            left = _pieces(before, other_before, rules)
            right = _pieces(after, other_after, rules)
            if left and right:
                return [*left, f"({rule.expression})::text", *right]
    return []


# The row of the whole shop's limit that a press is counted in, by chance.
SHARD = re.compile(r"placing:shop:\d+:(\d+)(?=\D|$)")
SHARDS = 16


def _since(time: str) -> str:
    """A moment of the placing, or one that lies ahead of it."""
    ahead = (datetime.fromisoformat(time) - datetime.now(UTC)).total_seconds()
    return f"(now() + interval '{max(0, round(ahead / 60))} min')"


def _without_variables(literal: str) -> str:
    if not VARIABLE.search(literal):
        return literal
    broken_up = VARIABLE.sub("' || chr(58) || '", literal)
    return f"({broken_up})"
