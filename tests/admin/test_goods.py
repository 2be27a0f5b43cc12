"""Staff cancel what is paid, take returns in, put goods back on sale and send the price of pieces
back: each once, however often and by however many it is pressed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.dispatch.returns import ReturnedPieces, take_return
from checkout.orders.dispatch.ship import ship
from checkout.orders.models import GoodsReturn, Mail, Order, OrderEvent, OrderLine
from checkout.orders.placing.place import place_order
from checkout.orders.states import DispatchStatus, OrderStatus
from checkout.orders.stock.differences import count_differences
from payments.models import Payment, Refund
from payments.refund_lines import Worth, worth
from tests.admin.conftest import order_page, signed_in
from tests.support.audited import violations
from tests.support.factories import OpenBasket, line, placed_order, purchase
from tests.support.shopper import read_form
from tests.support.till import Till

WHY = {"why": "She called"}


@pytest.fixture
def order(shelf: list[Product], till: Till) -> Order:
    """Two of €10.01 and one of €10.02, paid."""
    basket = OpenBasket([line(shelf[0], 2), line(shelf[1])])
    order = place_order(purchase(), basket, now=timezone.now())
    till.settle(order)
    order.refresh_from_db()
    return order


def first(order: Order) -> OrderLine:
    return order.lines.order_by("id")[0]


def url(order: Order, name: str) -> str:
    if name == "refund-lines":
        return f"/admin/payments/payment/{order.payments.get().pk}/refund-lines/"
    return f"/admin/orders/order/{order.pk}/{name}/"


def form_of(client: Client, order: Order, name: str) -> dict[str, str]:
    return read_form(client.get(url(order, name)).content.decode(), "")


def press(
    client: Client, order: Order, name: str, typed: dict[str, str], *, times: int = 2
) -> list[int]:
    """The same page sent several times at once."""
    address = url(order, name)

    def send(_: int) -> int:
        try:
            browser = Client()
            browser.cookies = client.cookies
            return browser.post(address, typed).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(send, range(times)))


def staff_events(order: Order) -> list[tuple[str, str, str]]:
    events = order.events.filter(kind=OrderEvent.Kind.STAFF).order_by("pk")
    return list(events.values_list("reason", "actor", "explanation"))


def send_all(order: Order) -> None:
    ship(order, None, key=f"parcel-{order.pk}", by="clerk", now=timezone.now())


def take_back(order: Order, pieces: int) -> None:
    wanted = {first(order).pk: ReturnedPieces(pieces)}
    take_return(order, wanted, key="r", by="clerk", why="", now=timezone.now())


def stock(order: Order) -> int:
    return Product.objects.get(pk=first(order).product_id).stock


# Cancelling what is paid


def test_paid_order_is_cancelled_once_by_however_many(
    support: Client, operator: Client, order: Order, till: Till
) -> None:
    assert url(order, "cancel-paid") in order_page(support, order)
    page = support.get(url(order, "cancel-paid")).content.decode()
    assert "€30.04 goes back to its customer" in page

    assert press(support, order, "cancel-paid", WHY, times=4) == [302] * 4
    later = operator.post(url(order, "cancel-paid"), WHY, follow=True).content.decode()
    assert "cancelled before; nothing was added" in later
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, order.dispatch_status) == (
        OrderStatus.REFUNDED,
        DispatchStatus.CALLED_OFF,
    )
    assert stock(order) == 100_000
    assert list(Refund.objects.values_list("amount_minor", flat=True)) == [3004]
    assert order.mails.filter(kind=Mail.Kind.CALLED_OFF).count() == 1
    [cancelled] = [each for each in staff_events(order) if "cancelled" in each[0]]
    assert cancelled[1:] == ("support", "She called")
    assert url(order, "cancel-paid") not in order_page(support, order)
    assert not count_differences()
    assert violations() == []


def test_what_was_sent_is_not_cancelled_and_the_page_says_what_to_do(
    support: Client, order: Order
) -> None:
    send_all(order)
    assert url(order, "cancel-paid") not in order_page(support, order)

    answer = support.post(url(order, "cancel-paid"), WHY).content.decode()

    assert "Take it in when it comes back" in answer
    assert not Refund.objects.exists()


# Returns


def test_return_is_taken_in_once_and_shown_with_the_order(
    support: Client, order: Order, till: Till
) -> None:
    assert url(order, "return") not in order_page(support, order)
    send_all(order)
    assert url(order, "return") in order_page(support, order)
    line_id = first(order).pk
    typed = form_of(support, order, "return")
    typed |= {f"pieces_{line_id}": "2", f"restock_{line_id}": "1"} | WHY

    assert press(support, order, "return", typed, times=4) == [302] * 4

    one = first(order)
    assert (one.returned, one.put_back, stock(order)) == (2, 1, 99_999)
    assert GoodsReturn.objects.count() == 1
    assert len(staff_events(order)) == 2  # the parcel, and the return
    again = support.post(url(order, "return"), typed, follow=True).content.decode()
    assert "The return is taken in. This page was sent more than once; nothing was added" in again
    page = order_page(support, order)
    assert "2 × SKU-01, 1 of them on sale again" in page
    assert "She called" in page
    assert not count_differences()
    assert violations() == []


def test_two_people_take_the_same_return_in_once(
    support: Client, operator: Client, order: Order
) -> None:
    """Each has a page of their own. What was sent is the limit of both together."""
    send_all(order)
    line_id = first(order).pk
    pages = [form_of(support, order, "return") | {f"pieces_{line_id}": "2"} | WHY for _ in range(2)]

    answers = [support.post(url(order, "return"), page) for page in pages]

    assert [answer.status_code for answer in answers] == [302, 200]
    assert "fewer pieces than that" in answers[1].content.decode()
    assert first(order).returned == 2


@pytest.mark.parametrize(
    ("pieces", "restock", "said"),
    [("0", "0", "Say how many"), ("3", "0", "fewer pieces"), ("1", "2", "No more than came back")],
)
def test_return_that_cannot_be_is_refused_with_a_sentence(
    support: Client, order: Order, pieces: str, restock: str, said: str
) -> None:
    send_all(order)
    line_id = first(order).pk
    typed = {f"pieces_{line_id}": pieces, f"restock_{line_id}": restock}

    answer = support.post(
        url(order, "return"), form_of(support, order, "return") | typed | WHY
    ).content.decode()

    assert said in answer
    assert not GoodsReturn.objects.exists()


def test_what_an_earlier_release_sent_can_be_taken_in(support: Client, order: Order) -> None:
    Order.objects.update(dispatch_status=DispatchStatus.NOT_RECORDED)
    assert url(order, "return") in order_page(support, order)
    line_id = first(order).pk
    typed = {f"pieces_{line_id}": "1", f"restock_{line_id}": "1"} | WHY

    answer = support.post(url(order, "return"), form_of(support, order, "return") | typed)

    assert answer.status_code == 302
    assert (first(order).returned, stock(order)) == (1, 99_999)
    assert violations() == []


def test_returns_cost_the_page_the_same_statements_however_many(
    support: Client, order: Order
) -> None:
    send_all(order)
    take_back(order, 1)

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            order_page(support, order)
        return len(queries)

    one = statements()
    wanted = {each.pk: ReturnedPieces(1) for each in order.lines.all()}
    take_return(order, wanted, key="s", by="clerk", why="", now=timezone.now())

    assert statements() == one


# On sale again, later


def test_returned_goods_go_on_sale_later_and_once(support: Client, order: Order) -> None:
    send_all(order)
    assert url(order, "restock") not in order_page(support, order)
    take_back(order, 2)
    assert url(order, "restock") in order_page(support, order)
    line_id = first(order).pk
    typed = form_of(support, order, "restock") | {f"pieces_{line_id}": "1"} | WHY

    assert press(support, order, "restock", typed, times=4) == [302] * 4

    assert (first(order).put_back, stock(order)) == (1, 99_999)
    more = form_of(support, order, "restock") | {f"pieces_{line_id}": "2"} | WHY
    refused = support.post(url(order, "restock"), more).content.decode()
    assert "take the return in first" in refused
    assert (first(order).put_back, stock(order)) == (1, 99_999)
    assert not count_differences()
    assert violations() == []


# Refund by lines


def wanted(order: Order, pieces: int, *, restock: bool = False, **more: str) -> dict[str, str]:
    line_id = first(order).pk
    ticked = {f"restock_{line_id}": "on"} if restock else {}
    return {f"pieces_{line_id}": str(pieces), "reason": "Torn"} | ticked | more


def shown_back(client: Client, order: Order, typed: dict[str, str]) -> tuple[dict[str, str], str]:
    """The form as it is once the page has shown the amount, and what that page says."""
    form = form_of(client, order, "refund-lines") | typed
    page = client.post(url(order, "refund-lines"), form).content.decode()
    return read_form(page, "") | typed, page


def test_price_of_pieces_is_shown_back_and_sent_once(
    support: Client, order: Order, till: Till
) -> None:
    assert url(order, "refund-lines") in order_page(support, order)
    form, page = shown_back(support, order, wanted(order, 2, restock=True))
    assert "<strong>€20.02</strong> will be sent back; 2 pieces will never be sent" in page
    assert "2 pieces go on sale again" in page
    assert 'value="Send €20.02 back"' in page
    assert not Refund.objects.exists()

    assert press(support, order, "refund-lines", form, times=4) == [302] * 4
    till.deliver_messages()

    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.status, refund.reason) == (2002, "succeeded", "Torn")
    one = first(order)
    assert (one.called_off, one.refunded, one.put_back, stock(order)) == (2, 2, 2, 100_000)
    [(what, who, why)] = staff_events(order)
    assert what == "Refund of €20.02 asked for: 2 × SKU-01; on sale again: 2 × SKU-01"
    assert (who, why) == ("support", "Torn")
    again = support.post(url(order, "refund-lines"), form, follow=True).content.decode()
    assert "A refund of €20.02 was asked for. " in again
    assert "sent more than once; nothing was added" in again
    assert not count_differences()
    assert violations() == []


# The name by which the page calls it.
WORTH = "payments.admin.refund_lines.worth"


def test_press_that_another_overtakes_while_the_amount_is_worked_out_is_one_refund(
    support: Client, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, _ = shown_back(support, order, wanted(order, 2))

    def overtaken(*what: Any, **how: Any) -> Worth:
        """The lines are read before the other press has committed, and the refunds after it."""
        monkeypatch.setattr(WORTH, worth)
        assert support.post(url(order, "refund-lines"), form).status_code == 302
        return Worth(1, is_release=False)

    monkeypatch.setattr(WORTH, overtaken)

    answer = support.post(url(order, "refund-lines"), form)

    assert answer.status_code == 302
    assert Refund.objects.count() == 1


def test_other_pieces_than_were_shown_are_shown_first(support: Client, order: Order) -> None:
    form, _ = shown_back(support, order, wanted(order, 1))

    page = support.post(url(order, "refund-lines"), form | wanted(order, 2)).content.decode()

    assert "<strong>€20.02</strong> will be sent back" in page
    assert not Refund.objects.exists()


def test_amount_that_has_changed_meanwhile_is_shown_first(
    support: Client, operator: Client, order: Order
) -> None:
    form, _ = shown_back(support, order, wanted(order, 2))
    Payment.objects.get().refunds.create(
        status="requested", amount_minor=2000, reason="Late", created_at=timezone.now()
    )

    page = support.post(url(order, "refund-lines"), form).content.decode()

    assert "<strong>€10.04</strong> will be sent back" in page
    assert first(order).refunded == 0


def test_delivery_alone_goes_back_once(support: Client, order: Order, till: Till) -> None:
    Order.objects.update(delivery_minor=504, goods_minor=2500)
    form, page = shown_back(support, order, {"delivery": "on", "reason": "Late"})
    assert "<strong>€5.04</strong> will be sent back. If" in page

    for _ in range(2):
        assert support.post(url(order, "refund-lines"), form).status_code == 302

    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.delivery_minor) == (504, 504)
    assert "delivery" not in form_of(support, order, "refund-lines")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"pieces": "3"}, "the price of 2 pieces is left"),
        ({"pieces": "0"}, "Say how many pieces, or delivery"),
        ({"pieces": "1.0"}, "whole number"),
        ({"pieces": "1", "reason": " "}, "This field is required"),
        ({"pieces": "1", "of_delivery": "100", "delivery": "on"}, "Delivery was sent back before"),
    ],
)
def test_wish_that_cannot_be_is_refused_with_a_sentence(
    support: Client, order: Order, typed: dict[str, str], said: str
) -> None:
    pieces = {f"pieces_{first(order).pk}": typed.pop("pieces")}

    _, page = shown_back(support, order, {"reason": "Torn"} | pieces | typed)

    assert said in page
    assert not Refund.objects.exists()


def test_what_the_customer_has_cannot_go_on_sale(support: Client, order: Order) -> None:
    send_all(order)

    _, page = shown_back(support, order, wanted(order, 1, restock=True))

    assert "take the return in first" in page


def test_surplus_is_not_offered_by_lines(support: Client, order: Order) -> None:
    Payment.objects.update(is_surplus=True)

    assert url(order, "refund-lines") not in order_page(support, order)
    _, page = shown_back(support, order, wanted(order, 1))
    assert "paid for no pieces" in page


def test_unpaid_order_offers_none_of_this(support: Client, shelf: list[Product]) -> None:
    order = placed_order(shelf[0])

    page = order_page(support, order)

    names = ["cancel-paid", "return", "restock"]
    assert not [name for name in names if url(order, name) in page]


def refused(client: Client, order: Order, name: str, typed: dict[str, Any]) -> bool:
    return client.post(url(order, name), typed).status_code == 403


def test_each_act_needs_its_permission(staff_groups: None, order: Order) -> None:
    looking = signed_in("looking", group="read-only")

    for name in ("cancel-paid", "return", "restock", "refund-lines"):
        assert url(order, name) not in order_page(looking, order)
        assert refused(looking, order, name, WHY)
