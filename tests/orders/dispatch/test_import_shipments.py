"""A file of tracking numbers marks each order as sent once, however often it is given."""

import json
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.dispatch.import_shipments import Done, import_shipments
from checkout.orders.dispatch.ship import ship, undo_shipment
from checkout.orders.dispatch.tracking_file import TrackingRow, read_tracking_file
from checkout.orders.models import Mail, Order, OrderEvent, Shipment
from checkout.orders.numbers import check_digits
from checkout.orders.states import DispatchStatus, OrderStatus
from checkout.orders.transitions import transition
from tests.support.factories import placed_order
from tests.support.parcels import order_to_send, pieces_sent

NOBODYS = f"999999-{check_digits(999999)}"


@pytest.fixture
def orders(shelf: list[Product]) -> list[Order]:
    return [order_to_send((shelf[0], 2), (shelf[1], 1)) for _ in range(3)]


def rows(*of: tuple[Order | str, str]) -> list[TrackingRow]:
    lines = [f"{getattr(order, 'number', order)},{tracking}" for order, tracking in of]
    return read_tracking_file("\n".join(["number,tracking", *lines]).encode())


def imported(found: list[TrackingRow], **how: Any) -> list[tuple[int, Done, str]]:
    results = import_shipments(found, by="clerk", **how)
    return [(each.line, each.done, each.why) for each in results]


def test_orders_of_a_file_are_sent_with_their_numbers(orders: list[Order]) -> None:
    results = imported(rows((orders[0], "AB1"), (orders[1], "CD2")))

    assert results == [(2, Done.SENT, ""), (3, Done.SENT, "")]
    assert [pieces_sent(order) for order in orders] == [[2, 1], [2, 1], [0, 0]]
    assert [each.tracking_number for each in Shipment.objects.all()] == ["AB1", "CD2"]
    assert set(Shipment.objects.values_list("sent_by", flat=True)) == {"clerk"}
    assert Mail.objects.filter(kind=Mail.Kind.SHIPPED).count() == 2


def test_same_file_again_sends_nothing(orders: list[Order]) -> None:
    found = rows((orders[0], "AB 1"), (orders[0], "ab1"), (orders[1], "CD2"))
    imported(found)
    again = imported(found)

    assert {done for _, done, _ in again} == {Done.BEFORE}
    assert Shipment.objects.count() == 2
    assert Mail.objects.filter(kind=Mail.Kind.SHIPPED).count() == 2


def test_order_sent_with_another_number_is_an_error(orders: list[Order]) -> None:
    ship(orders[0], None, key="k", tracking_number="AB1", by="other", now=timezone.now())

    [(line, done, why)] = imported(rows((orders[0], "CD2")))

    assert (line, done) == (2, Done.REFUSED)
    assert "sent before, with AB1" in why
    assert Shipment.objects.count() == 1


def test_number_that_a_clerk_has_typed_is_known(orders: list[Order]) -> None:
    ship(orders[0], None, key="k", tracking_number="ab 1", by="other", now=timezone.now())

    assert imported(rows((orders[0], "AB1"))) == [(2, Done.BEFORE, "")]


def test_rest_of_an_order_goes_with_another_number(orders: list[Order]) -> None:
    line = orders[0].lines.earliest("id")
    ship(orders[0], {line.pk: 1}, key="k", tracking_number="AB1", by="other", now=timezone.now())

    assert imported(rows((orders[0], "CD2"))) == [(2, Done.SENT, "")]
    assert pieces_sent(orders[0]) == [2, 1]


def test_parcel_that_was_taken_back_is_not_sent_by_the_same_file(orders: list[Order]) -> None:
    found = rows((orders[0], "AB1"))
    imported(found)
    undo_shipment(Shipment.objects.get(), by="clerk", why="Not yet packed", now=timezone.now())

    [(_, done, why)] = imported(found)

    assert done is Done.REFUSED
    assert "taken back as a mistake" in why
    assert pieces_sent(orders[0]) == [0, 0]


def test_bad_rows_change_nothing_and_the_others_are_sent(
    orders: list[Order], shelf: list[Product]
) -> None:
    unpaid = placed_order(shelf[0])
    refunded, held, sent = orders
    transition(refunded.pk, OrderStatus.REFUNDED, reason="Test", now=timezone.now())
    Order.objects.filter(pk=held.pk).update(is_held=True)
    events = OrderEvent.objects.exclude(order=sent).count()

    results = imported(
        rows((unpaid, "A"), (refunded, "B"), (held, "C"), (NOBODYS, "D"), ("x", "E"), (sent, "F"))
    )

    assert [done for _, done, _ in results] == [Done.REFUSED] * 5 + [Done.SENT]
    assert [line for line, _, _ in results] == [2, 3, 4, 5, 6, 7]
    whys = ["not paid", "sent back", "disputes", "no such order", "no order number", ""]
    assert all(why in told for why, (_, _, told) in zip(whys, results, strict=True)), results
    assert OrderEvent.objects.exclude(order=sent).count() == events
    assert Shipment.objects.get().order == sent


def test_rehearsal_tells_the_same_and_does_nothing(orders: list[Order]) -> None:
    ship(orders[2], None, key="k", tracking_number="EF3", by="other", now=timezone.now())
    found = rows(
        *((orders[0], "AB1"), (orders[0], "AB1"), (orders[0], "XY9"), (orders[1], "CD2")),
        *((orders[2], "EF3"), (orders[2], "GH4")),
    )
    events, mails = OrderEvent.objects.count(), Mail.objects.count()

    rehearsed = imported(found, dry_run=True)

    assert (OrderEvent.objects.count(), Mail.objects.count()) == (events, mails)
    assert Shipment.objects.count() == 1
    told = {Done.WOULD_SEND: Done.SENT}
    assert [(line, told.get(done, done), why) for line, done, why in rehearsed] == imported(found)


def test_order_of_a_release_before_is_sent(orders: list[Order]) -> None:
    Order.objects.filter(pk=orders[0].pk).update(dispatch_status=DispatchStatus.NOT_RECORDED)

    assert imported(rows((orders[0], "AB1"))) == [(2, Done.SENT, "")]
    orders[0].refresh_from_db()
    assert orders[0].dispatch_status == DispatchStatus.SENT


def test_file_imported_by_four_at_once_is_sent_once(orders: list[Order]) -> None:
    found = rows(*((order, f"T{order.pk}") for order in orders))

    def run(_: int) -> list[tuple[int, Done, str]]:
        try:
            return imported(found)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        results = [done for each in pool.map(run, range(4)) for _, done, _ in each]

    assert sorted(each.value for each in results) == ["sent"] * 3 + ["sent before"] * 9
    assert Shipment.objects.count() == 3
    assert Mail.objects.filter(kind=Mail.Kind.SHIPPED).count() == 3


def command(path: Path, *options: str) -> tuple[str, int]:
    said, code = StringIO(), 0
    try:
        call_command("import_shipments", str(path), *options, "--by", "carla", stdout=said)
    except CommandError as error:
        said.write(str(error))
        code = error.returncode
    return said.getvalue(), code


@pytest.fixture
def file(orders: list[Order], tmp_path: Path) -> Path:
    path = tmp_path / "tracking.csv"
    text = f"\ufeffNumber;Tracking\r\n{orders[0].number};AB1\r\n{orders[1].number};CD2\r\n"
    path.write_bytes(text.encode())
    return path


def test_command_tells_of_each_row(file: Path, orders: list[Order]) -> None:
    rehearsed, code = command(file, "--dry-run")
    assert (rehearsed.count("would be sent"), code, Shipment.objects.count()) == (3, 0, 0)

    said, code = command(file)
    assert code == 0
    assert said.endswith("2 sent.\n")
    assert set(Shipment.objects.values_list("sent_by", flat=True)) == {"carla"}

    said, code = command(file)
    assert code == 0
    assert said.endswith("2 sent before.\n")


def test_command_fails_when_a_row_was_refused(file: Path, orders: list[Order]) -> None:
    file.write_text(f"number,tracking\n{orders[0].number},AB1\n{orders[0].number},CD2\n")

    said, code = command(file, "--json")

    assert code == 1
    payload, _, told = said.partition("\n}")
    result = json.loads(payload + "}")
    assert [(row["line"], row["done"]) for row in result["rows"]] == [(2, "sent"), (3, "refused")]
    assert result["refused"] == 1
    assert "1 of 2 rows were refused." in told


def test_command_fails_for_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert command(tmp_path / "none.csv")[1] == 1
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    said, code = command(tmp_path / "bad.csv")
    assert (said, code) == (
        "Nothing was sent. The file has no column “number”. Its first line names the columns: "
        "number, tracking.",
        1,
    )
