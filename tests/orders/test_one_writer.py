"""Events of an order and messages of the outbox are each written by one module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# How a row is made → the one module that makes it so.
WRITER = {
    "OrderEvent": "checkout/orders/history.py",
    "OutboxMessage": "checkout/orders/outbox/enqueue.py",
}
RELATED = {"events": "OrderEvent", "outbox_messages": "OutboxMessage"}
CREATING = {"create", "bulk_create", "get_or_create", "update_or_create"}
INSERTED = {"orders_orderevent": "OrderEvent", "orders_outboxmessage": "OutboxMessage"}
# No source without one of these makes such a row.
NAMES = {name.lower() for name in (*WRITER, *RELATED, *INSERTED)}

# They write all that belongs to an order, and to its payment, in one statement, for speed.
PLACES = "checkout/orders/placing/one_statement.py"
PAYS = "payments/settling/steps/first_charge.py"


def rows_made(source: str) -> Iterator[str]:
    """The models whose rows this source makes: by name, through the order, or by SQL."""
    if not any(name in source.lower() for name in NAMES):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = " ".join(node.value.lower().split())
            yield from (model for table, model in INSERTED.items() if f"into {table}" in words)
        elif isinstance(node, ast.Call):
            *owner, called = ast.unparse(node.func).split(".")
            if called in WRITER:
                yield called
            elif called in CREATING and owner:
                named = owner[-1].partition("(")[0]
                yield from (model for model in WRITER if model in owner)
                yield from (model for name, model in RELATED.items() if name == named)


def test_no_other_module_writes_history_or_outbox() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), model)
        for app in ("checkout", "payments")
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts
        for model in rows_made(path.read_text())
    }

    assert found == {
        *((path, model) for model, path in WRITER.items()),
        *((PLACES, model) for model in WRITER),
        (PAYS, "OrderEvent"),
    }


@pytest.mark.parametrize(
    ("planted", "model"),
    [
        ("OrderEvent(order=order).save()", "OrderEvent"),
        ("models.OrderEvent.objects.create(order=order)", "OrderEvent"),
        ("OrderEvent.objects.bulk_create(rows)", "OrderEvent"),
        ("order.events.create(reason='x')", "OrderEvent"),
        ("cursor.execute('INSERT INTO orders_orderevent VALUES (1)')", "OrderEvent"),
        ("OutboxMessage.objects.create(order=order)", "OutboxMessage"),
        ("OutboxMessage.objects.get_or_create(order=order)", "OutboxMessage"),
        ("payment.order.outbox_messages.create(kind='refund')", "OutboxMessage"),
    ],
)
def test_the_walk_finds_another_writer(planted: str, model: str) -> None:
    assert list(rows_made(planted)) == [model]


def test_reading_is_no_writing() -> None:
    read = "order.events.filter(kind=OrderEvent.Kind.NOTE); Mail.objects.create(order=order)"

    assert list(rows_made(read)) == []
