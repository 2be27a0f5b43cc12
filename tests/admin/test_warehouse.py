"""The warehouse's pages: what is to be sent, on paper and on screen, each parcel once."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.admin.warehouse import import_page
from checkout.orders.dispatch.ship import ship
from checkout.orders.models import Mail, Order, OrderEvent, Shipment
from checkout.orders.states import DispatchStatus, OrderStatus
from checkout.orders.transitions import transition
from tests.admin.conftest import order_page, signed_in
from tests.support.factories import placed_order
from tests.support.parcels import order_to_send, pieces_sent
from tests.support.shopper import read_form

LIST = "/admin/orders/ordertosend/"
IMPORT = f"{LIST}import/"


@pytest.fixture
def clerk(staff_groups: None) -> Client:
    return signed_in("clerk", group="Warehouse")


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return order_to_send((shelf[0], 2), (shelf[1], 1))


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def ship_address(order: Order) -> str:
    return f"{LIST}{order.pk}/ship/"


def opened(client: Client, order: Order) -> dict[str, str]:
    """What the page's form would send, as it is."""
    return read_form(text_of(client, ship_address(order)), "key")


def numbers_in(page: str) -> list[str]:
    """The orders that the list's rows name, from above."""
    return re.findall(r'/ship/">([0-9-]+)</a>', page)


# The list


def test_list_has_what_is_to_be_sent_the_oldest_first(clerk: Client, shelf: list[Product]) -> None:
    orders = [order_to_send((shelf[0], number)) for number in (1, 2, 3, 4, 5)]
    first, sent, held, refunded, last = orders
    placed_order(shelf[0])
    ship(sent, None, key="k", by="other", now=timezone.now())
    Order.objects.filter(pk=held.pk).update(is_held=True)
    transition(refunded.pk, OrderStatus.REFUNDED, reason="Test", now=timezone.now())

    page = text_of(clerk, LIST)

    assert numbers_in(page) == [first.number, last.number]
    assert "Ada Quillfeather" in page
    assert '<td class="field-pieces">5</td>' in page


def test_list_is_narrowed_by_delivery_and_country(clerk: Client, shelf: list[Product]) -> None:
    orders = [order_to_send((shelf[0], 1)) for _ in range(3)]
    Order.objects.filter(pk=orders[0].pk).update(country="DE", delivery_name="Parcel")
    Order.objects.filter(pk=orders[1].pk).update(delivery_name="Letter")

    page = text_of(clerk, LIST)
    assert "Germany" in page
    assert "Ireland" in page
    assert numbers_in(text_of(clerk, f"{LIST}?country=DE")) == [orders[0].number]
    assert numbers_in(text_of(clerk, f"{LIST}?delivery_name=Letter")) == [orders[1].number]
    assert numbers_in(text_of(clerk, f"{LIST}?delivery_name=")) == [orders[2].number]
    assert numbers_in(text_of(clerk, f"{LIST}?q={orders[2].number}")) == [orders[2].number]
    assert numbers_in(text_of(clerk, f"{LIST}?q=nobody")) == []


def test_pages_cost_as_many_statements_for_sixty_orders_as_for_three(
    clerk: Client, shelf: list[Product]
) -> None:
    def costs() -> dict[str, int]:
        return {page: cost(page) for page in pages}

    def cost(page: str) -> int:
        text_of(clerk, LIST + page)
        with CaptureQueriesContext(connection) as captured:
            text_of(clerk, LIST + page)
        return len(captured)

    pages = ["", "?country=IE", "?q=1", "pick-list/", "packing-slips/?first=60"]
    for _ in range(3):
        order_to_send((shelf[0], 1), (shelf[1], 2))
    few = costs()
    for _ in range(57):
        order_to_send((shelf[0], 1), (shelf[1], 2))

    assert costs() == few


def test_count_is_on_the_first_page_and_on_the_dashboard(
    clerk: Client, operator: Client, order: Order
) -> None:
    assert f'<a href="{LIST}">1 order to send</a>' in text_of(clerk, "/admin/")
    assert f'<a href="{LIST}">1 order</a>' in text_of(operator, "/admin/dashboard/")


# On paper


def test_pick_list_adds_up_what_to_fetch(clerk: Client, shelf: list[Product]) -> None:
    one, two = order_to_send((shelf[0], 2), (shelf[1], 1)), order_to_send((shelf[0], 3))
    ship(two, {two.lines.get().pk: 1}, key="k", by="other", now=timezone.now())

    answer = clerk.post(LIST, {"action": "pick_list", "_selected_action": [one.pk, two.pk]})
    page = text_of(clerk, answer["Location"])

    cells = re.findall(r'<tr><td class="count">(\d+)</td><th scope="row">(\S+)</th>', page)
    assert cells == [("4", "SKU-01"), ("1", "SKU-02")]
    assert "5 pieces for 2 orders" in page
    assert page.index(one.number) < page.index(two.number)


def test_packing_slip_names_address_and_pieces_and_no_price(clerk: Client, order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(language="de")
    sent = order_to_send((order.lines.earliest("id").product, 1))
    ship(sent, None, key="k", by="other", now=timezone.now())

    answer = clerk.post(LIST, {"action": "packing_slips", "_selected_action": [order.pk, sent.pk]})
    page = text_of(clerk, f"{answer['Location']},{sent.pk}")

    assert page.count('<section class="slip"') == 1
    assert f"Lieferschein zur Bestellung {order.number}" in page
    for words in ("Ada Quillfeather", "12 Inkwell Lane", "Irland", "Notebook 01", "SKU-02"):
        assert words in page
    assert "€" not in page
    assert f"{sent.number}: Paid, Sent" in page


@pytest.mark.parametrize("query", ["", "?first=2", "?first=x", "?first=99999999999999999999"])
def test_paper_for_the_oldest(clerk: Client, order: Order, query: str) -> None:
    assert text_of(clerk, f"{LIST}packing-slips/{query}").count('<section class="slip"') == 1
    assert order.number in text_of(clerk, f"{LIST}pick-list/{query}")


@pytest.mark.parametrize("ids", ["", "x", "1,,-3", "9" * 19, "9" * 18])
def test_address_with_other_ids_is_no_error(clerk: Client, order: Order, ids: str) -> None:
    assert "Nothing is to be sent." in text_of(clerk, f"{LIST}pick-list/?ids={ids}")


# Sending


def test_parcel_is_sent_and_the_next_order_is_one_click_away(
    clerk: Client, order: Order, shelf: list[Product]
) -> None:
    following = order_to_send((shelf[2], 1))
    form = opened(clerk, order) | {"tracking_number": " 4111 1111 1111 1111 "}

    page = clerk.post(ship_address(order), form, follow=True).content.decode()

    parcel = Shipment.objects.get()
    assert (parcel.sent_by, parcel.tracking_number) == ("clerk", "4111 1111 1111 1111")
    assert pieces_sent(order) == [2, 1]
    assert f"Parcel sent: 2 × SKU-01, 1 × SKU-02 (order {order.number})." in page
    assert "Nothing of this order is left to be sent." in page
    assert f'<a href="{ship_address(following)}">Next to send: {following.number}' in page


def test_part_of_an_order_is_sent_and_then_the_rest(clerk: Client, order: Order) -> None:
    first, second = order.lines.order_by("id")
    form = opened(clerk, order)
    assert form[f"pieces_{first.pk}"] == "2"

    clerk.post(ship_address(order), form | {f"pieces_{first.pk}": "1", f"pieces_{second.pk}": ""})
    assert pieces_sent(order) == [1, 0]
    rest = opened(clerk, order)
    assert (rest[f"pieces_{first.pk}"], rest[f"pieces_{second.pk}"]) == ("1", "1")
    clerk.post(ship_address(order), rest)

    assert pieces_sent(order) == [2, 1]
    assert Mail.objects.filter(kind=Mail.Kind.SHIPPED).count() == 2


def test_form_pressed_twice_is_one_parcel_and_both_are_told_the_same(
    clerk: Client, order: Order
) -> None:
    form = opened(clerk, order)

    answers = [clerk.post(ship_address(order), form, follow=True) for _ in range(2)]

    told = [[str(each) for each in answer.context["messages"]] for answer in answers]
    assert told[0] == told[1] == [f"Parcel sent: 2 × SKU-01, 1 × SKU-02 (order {order.number})."]
    assert Shipment.objects.count() == 1


def test_form_pressed_in_the_same_moment_is_one_parcel(clerk: Client, order: Order) -> None:
    form = opened(clerk, order)

    answers = _at_once(*[(clerk, ship_address(order), form)] * 6)

    assert [status for status, _ in answers] == [302] * 6
    assert Shipment.objects.count() == 1
    assert Mail.objects.filter(kind=Mail.Kind.SHIPPED).count() == 1


def test_two_clerks_at_once_send_one_parcel_and_the_other_is_told(
    clerk: Client, order: Order
) -> None:
    other = signed_in("other", group="Warehouse")
    forms = [opened(clerk, order), opened(other, order)]

    answers = _at_once(*zip((clerk, other), [ship_address(order)] * 2, forms, strict=True))

    parcel = Shipment.objects.get()
    assert sorted(status for status, _ in answers) == [200, 302]
    [told] = [page for status, page in answers if status == 200]
    assert "All of this order was sent before" in told
    assert f"UTC by {parcel.sent_by}" in told


def _at_once(*presses: tuple[Client, str, dict[str, str]]) -> list[tuple[int, str]]:
    """The status and the page that each press is answered with, all made in the same moment."""
    together = threading.Barrier(len(presses))

    def press(what: tuple[Client, str, dict[str, str]]) -> tuple[int, str]:
        client, address, form = what
        browser = Client()
        browser.cookies = client.cookies
        together.wait()
        try:
            answer = browser.post(address, form)
            return answer.status_code, answer.content.decode()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(presses)) as pool:
        return list(pool.map(press, presses))


def test_order_that_moved_meanwhile_is_not_sent(clerk: Client, order: Order) -> None:
    form = opened(clerk, order)
    Order.objects.filter(pk=order.pk).update(is_held=True)

    page = clerk.post(ship_address(order), form).content.decode()

    assert "disputes the charge" in page
    assert pieces_sent(order) == [0, 0]
    assert "Nothing may be sent now" in text_of(clerk, ship_address(order))


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"pieces": "3"}, "Fewer pieces than that"),
        ({"pieces": "-1"}, "whole number"),
        ({"pieces": "1.0"}, "whole number"),
        ({"pieces": "0"}, "Say how many pieces"),
        ({"tracking_number": "1.2E+15"}, "spreadsheet has shortened"),
        ({"tracking_number": "9" * 81}, "longer than 80"),
        ({"method": "x" * 81}, "at most 80"),
        ({"key": "short"}, "valid value"),
    ],
)
def test_what_cannot_be_is_said_and_sends_nothing(
    clerk: Client, order: Order, typed: dict[str, str], told: str
) -> None:
    form = opened(clerk, order)
    first, second = (f"pieces_{line.pk}" for line in order.lines.order_by("id"))
    form |= {first: typed.pop("pieces", "1"), second: "0"} | typed

    page = clerk.post(ship_address(order), form).content.decode()

    assert told in page
    assert Shipment.objects.count() == 0


def test_order_of_a_release_before_is_sent_from_its_page(clerk: Client, order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(dispatch_status=DispatchStatus.NOT_RECORDED)
    assert numbers_in(text_of(clerk, LIST)) == []
    assert ship_address(order) in order_page(clerk, order)

    clerk.post(ship_address(order), opened(clerk, order))

    order.refresh_from_db()
    assert order.dispatch_status == DispatchStatus.SENT


# Taking back


def undo_address(parcel: Shipment) -> str:
    return f"/admin/orders/shipment/{parcel.pk}/undo/"


WHY = {"why": "The wrong label was read"}


def test_parcel_marked_by_mistake_is_taken_back_once(clerk: Client, order: Order) -> None:
    clerk.post(ship_address(order), opened(clerk, order))
    parcel = Shipment.objects.get()
    assert undo_address(parcel) in text_of(clerk, ship_address(order))
    assert undo_address(parcel) in order_page(clerk, order)

    for _ in range(2):
        assert clerk.post(undo_address(parcel), WHY).status_code == 302

    assert pieces_sent(order) == [0, 0]
    undone = OrderEvent.objects.filter(reason__startswith="Not sent after all", actor="clerk")
    assert [each.explanation for each in undone] == [WHY["why"]]
    assert numbers_in(text_of(clerk, LIST)) == [order.number]
    assert "it was not sent" in text_of(clerk, ship_address(order))


def test_parcel_is_not_taken_back_after_the_hour(clerk: Client, order: Order) -> None:
    clerk.post(ship_address(order), opened(clerk, order))
    Shipment.objects.update(sent_at=timezone.now() - timedelta(minutes=61))
    parcel = Shipment.objects.get()
    assert undo_address(parcel) not in text_of(clerk, ship_address(order))

    page = clerk.post(undo_address(parcel), WHY).content.decode()

    assert "more than an hour ago" in page
    assert pieces_sent(order) == [2, 1]


def test_order_page_and_story_show_its_parcels(clerk: Client, order: Order) -> None:
    ship(order, None, key="k", tracking_number="AB1", method="Post", by="x", now=timezone.now())

    page = order_page(clerk, order)

    assert "2 × SKU-01, 1 × SKU-02" in page
    assert "Parcel sent: 2 × SKU-01, 1 × SKU-02" in page
    assert "Post, AB1" in page


def test_parcel_is_found_by_its_tracking_number(clerk: Client, order: Order) -> None:
    ship(order, None, key="k", tracking_number="AB1", by="x", now=timezone.now())
    for typed in ("AB1", "ab1", order.number):
        assert order.number in text_of(clerk, f"/admin/orders/shipment/?q={typed}")
    assert order.number not in text_of(clerk, "/admin/orders/shipment/?q=AB2")


# The file


def upload(client: Client, text: str, **fields: str) -> str:
    file = SimpleUploadedFile("tracking.csv", text.encode())
    answer = client.post(IMPORT, {"file": file, **fields})
    assert answer.status_code == 200
    return answer.content.decode()


def test_file_is_imported_and_each_row_is_told(clerk: Client, order: Order) -> None:
    text = f"number;tracking\n{order.number};AB1\n100-00;CD2\n"

    rehearsed = upload(clerk, text, dry_run="on")
    assert "1 would be sent, 1 refused" in rehearsed
    assert Shipment.objects.count() == 0
    assert "1 sent, 1 refused" in upload(clerk, text)
    again = upload(clerk, text)

    assert "1 sent before, 1 refused" in again
    assert "This is no order number." in again
    assert Shipment.objects.get().sent_by == "clerk"


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "empty"), ("a,b\n1,2\n", "no column"), ("number,tracking\n" + "x" * 2**21, "2 MB")],
)
def test_file_that_cannot_be_read_is_refused(clerk: Client, text: str, told: str) -> None:
    assert told in upload(clerk, text)


def test_long_file_is_imported_in_turns(
    clerk: Client, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [order_to_send((shelf[0], 1)) for _ in range(3)]
    text = "number,tracking\n" + "".join(f"{order.number},T{order.pk}\n" for order in orders)
    monkeypatch.setattr(import_page, "AT_MOST_SECONDS", -1.0)

    assert "2 rows of the file were not looked at" in upload(clerk, text)
    assert Shipment.objects.count() == 1
    monkeypatch.undo()

    assert "2 sent, 1 sent before" in upload(clerk, text)
    assert Shipment.objects.count() == 3
