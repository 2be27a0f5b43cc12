"""Whoever presses far more often than a customer does is put off, and loses nothing by it."""

import logging
import re

import pytest
from django.db import OperationalError, connection
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.limits.rates import read_rates
from checkout.orders.models import LimitCount, Mail, Order
from payments.models import Payment
from payments.settling.outcomes import record_decline
from tests.support.clock import NOON, move_time
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.shopper import TYPED, InProcess, Shopper, read_form
from tests.support.till import Till, assert_one_order_one_charge

HOLDS_BACK = re.compile(r"You can press the button again in (\d+ minutes)")

DECLINED = "pm_card_chargeDeclined"

pytestmark = pytest.mark.usefixtures("at_noon")


def move_clock(monkeypatch: pytest.MonkeyPatch, *, minutes: int) -> None:
    move_time(monkeypatch, NOON.replace(minute=minutes))


def from_address(shopper: Shopper, address: str, **headers: str) -> Shopper:
    assert isinstance(shopper.web, InProcess)
    shopper.web.client.defaults |= {"REMOTE_ADDR": address, **headers}
    return shopper


def retry_after(shopper: Shopper, path: str, form: dict[str, str]) -> str:
    assert isinstance(shopper.web, InProcess)
    return shopper.web.client.post(path, form).headers["Retry-After"]


def pay_again_form(shopper: Shopper, location: str, payment_method: str) -> dict[str, str]:
    fields = read_form(shopper.web.get(location).text, f"{location}pay/")
    return fields | {"payment_method": payment_method}


def test_press_that_is_put_off_keeps_the_form(
    shopper: Shopper, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIMIT_PLACING = read_rates("session 1/10m")
    shopper.buy("SKU-01")
    shopper.add_to_cart("SKU-02")
    form = shopper.open_checkout()

    put_off = shopper.submit(form)

    assert put_off.status == 429
    assert HOLDS_BACK.findall(put_off.words) == ["7 minutes"]
    assert "Nothing was ordered or charged by this press" in put_off.words
    offered = read_form(put_off.text, "/checkout/")
    assert {name: offered.get(name) for name in TYPED} == TYPED
    assert offered["token"] == form["token"]
    assert retry_after(shopper, "/checkout/", form) == "420"
    assert Order.objects.count() == 1

    move_clock(monkeypatch, minutes=10)
    assert shopper.submit(offered).status == 303
    assert Order.objects.count() == 2


def test_bought_purchase_leads_to_its_order_however_often_it_is_sent(
    shopper: Shopper, settings: Settings
) -> None:
    settings.LIMIT_PLACING = read_rates("session 1/10m, address 1/10m, shop 1/10m")
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    first = shopper.submit(form)
    shopper.add_to_cart("SKU-02")
    assert shopper.submit(shopper.open_checkout()).status == 429

    repeats = [shopper.submit(form) for _ in range(5)]

    assert repeats == [first] * 5
    assert first.status == 303


def test_form_with_a_mistake_is_not_counted(shopper: Shopper, settings: Settings) -> None:
    settings.LIMIT_PLACING = read_rates("session 1/10m")
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    mistakes = [shopper.submit(form | {"email": "ada"}).status for _ in range(3)]

    assert mistakes == [422, 422, 422]
    assert shopper.submit(form).status == 303


def test_sessions_of_one_address_share_its_limit(
    shopper: Shopper, another_shopper: Shopper, settings: Settings
) -> None:
    settings.LIMIT_PLACING = read_rates("session 5/10m, address 1/10m")

    assert shopper.buy("SKU-01").status == 303
    assert another_shopper.buy("SKU-01").status == 429
    assert from_address(another_shopper, "198.51.100.1").buy("SKU-02").status == 303


def test_made_up_header_gains_no_press(
    shopper: Shopper, another_shopper: Shopper, settings: Settings
) -> None:
    settings.LIMIT_PLACING = read_rates("address 1/10m")
    settings.TRUSTED_PROXY_COUNT = 1
    made_up = ("198.51.100.1, 203.0.113.9", "198.51.100.2, 203.0.113.9")
    from_address(shopper, "10.0.0.7", HTTP_X_FORWARDED_FOR=made_up[0])
    from_address(another_shopper, "10.0.0.7", HTTP_X_FORWARDED_FOR=made_up[1])

    assert shopper.buy("SKU-01").status == 303
    assert another_shopper.buy("SKU-01").status == 429


def test_order_keeps_where_it_came_from_unreadably(
    shopper: Shopper, another_shopper: Shopper
) -> None:
    for buyer in (from_address(shopper, "203.0.113.9"), from_address(another_shopper, "127.1.2.3")):
        assert buyer.buy("SKU-01").status == 303

    first, second = Order.objects.order_by("id")
    stored = [first.from_session, first.from_address, second.from_session, second.from_address]
    assert [len(digest) for digest in stored] == [32] * 4
    assert len(set(stored)) == 4
    assert not {"203.0.113.9", "127.1.2.3"} & set(stored)


def test_shop_goes_on_selling_when_it_cannot_count(
    shopper: Shopper, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LIMIT_PLACING = read_rates("session 1/10m")
    settings.LIMIT_DECLINES = read_rates("session 1/10m")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_limitcount RENAME TO out_of_reach")
    try:
        placed = [shopper.buy("SKU-01").status for _ in range(2)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE out_of_reach RENAME TO orders_limitcount")

    assert placed == [303, 303]
    assert caplog.messages.count("A limit could not be counted and holds nobody back") == 2


def test_connection_that_is_lost_by_counting_is_opened_again(
    shopper: Shopper, settings: Settings, monkeypatch: pytest.MonkeyPatch, till: Till
) -> None:
    settings.LIMIT_PLACING = settings.LIMIT_LOOKUP = read_rates("session 9/10m")
    dying = (
        "SELECT pg_terminate_backend(pg_backend_pid()),"
        " %s::text[], %s::timestamptz[], %s::int[], %s::bool[]"
    )
    monkeypatch.setattr("checkout.orders.limits.counting.COUNT", dying)

    assert shopper.buy("SKU-01").status == 303
    order = assert_one_order_one_charge(till)
    form = read_form(shopper.web.get("/orders/find/").text, "/orders/find/")
    form |= {"number": order.number, "email": order.email}
    assert shopper.web.post("/orders/find/", form).status == 303
    send_mails()
    assert order.mails.filter(kind=Mail.Kind.LINK).count() == 1


def test_database_that_takes_no_order_says_so_with_limits_as_without(
    shopper: Shopper, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object, **kwargs: object) -> Order:
        raise OperationalError("connection refused")

    settings.LIMIT_PLACING = read_rates("session 1/10m")
    monkeypatch.setattr("checkout.orders.limits.limits.count", away)
    monkeypatch.setattr("checkout.orders.placing.place._place_at_once", away)

    answer = shopper.buy("SKU-01")

    assert answer.status == 503
    assert "you cannot be charged twice" in answer.words


def test_declines_put_off_placing_and_paying_again(
    shopper: Shopper, settings: Settings, till: Till
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 2/1h")
    shopper.typed["payment_method"] = DECLINED
    placed = shopper.buy("SKU-01")
    order = Order.objects.get()
    till.settle(order)
    assert shopper.pay_again(placed.location, DECLINED).status == 303
    till.settle(order)

    form = pay_again_form(shopper, placed.location, "pm_card_visa")
    put_off = shopper.web.post(f"{placed.location}pay/", form)

    assert put_off.status == 429
    assert "You were not charged by this press" in put_off.words
    assert "You can pay again in 57 minutes" in put_off.words
    assert retry_after(shopper, f"{placed.location}pay/", form) == "3420"
    assert shopper.buy("SKU-02").status == 429
    order.refresh_from_db()
    assert (order.status, order.payment_round) == ("payment_failed", 2)
    assert Order.objects.count() == 1
    assert till.charges() == []


def test_paying_again_works_when_the_wait_is_over(
    shopper: Shopper, settings: Settings, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 1/10m")
    shopper.typed["payment_method"] = DECLINED
    placed = shopper.buy("SKU-01")
    order = Order.objects.get()
    till.settle(order)
    form = pay_again_form(shopper, placed.location, "pm_card_visa")
    assert shopper.web.post(f"{placed.location}pay/", form).status == 429

    move_clock(monkeypatch, minutes=10)

    assert shopper.web.post(f"{placed.location}pay/", form).status == 303
    till.settle(order)
    assert [charge.amount_minor for charge in till.charges()] == [order.total_minor]


def test_repeated_press_of_paying_again_is_led_to_the_order(
    shopper: Shopper, settings: Settings, till: Till
) -> None:
    settings.LIMIT_PLACING = read_rates("session 2/10m")
    shopper.typed["payment_method"] = DECLINED
    placed = shopper.buy("SKU-01")
    till.settle(Order.objects.get())
    form = pay_again_form(shopper, placed.location, "pm_card_visa")

    pressed = [shopper.web.post(f"{placed.location}pay/", form).status for _ in range(4)]

    assert pressed == [303] * 4
    assert Order.objects.get().payment_round == 2


def test_presses_of_paying_again_are_limited_like_placing(
    shopper: Shopper, settings: Settings, till: Till
) -> None:
    settings.LIMIT_PLACING = read_rates("session 2/10m")
    shopper.typed["payment_method"] = DECLINED
    placed = shopper.buy("SKU-01")
    till.settle(Order.objects.get())
    assert shopper.pay_again(placed.location, DECLINED).status == 303
    till.settle(Order.objects.get())

    assert shopper.pay_again(placed.location, DECLINED).status == 429


def test_decline_that_is_settled_again_counts_once(
    shopper: Shopper, settings: Settings, till: Till
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 5/1h, address 5/1h, shop 5/1h")
    shopper.typed["payment_method"] = DECLINED
    shopper.buy("SKU-01")

    till.settle_everything_twice()
    till.check(Order.objects.get())
    record_decline(Payment.objects.get(), "card_declined", now=NOON)  # a worker that was overtaken

    assert list(LimitCount.objects.values_list("count", flat=True)) == [1, 1, 1]


def test_payment_that_goes_through_is_no_decline(
    shopper: Shopper, settings: Settings, till: Till
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 5/1h, address 5/1h, shop 5/1h")
    shopper.buy("SKU-01")

    till.settle_everything_twice()

    assert not LimitCount.objects.exists()


def test_stolen_cards_elsewhere_hold_back_no_honest_customer(
    shopper: Shopper, another_shopper: Shopper, settings: Settings, till: Till
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 5/1h, address 5/1h, shop 1/1h")
    tester = from_address(shopper, "198.51.100.1")
    tester.typed["payment_method"] = DECLINED
    tester.buy("SKU-01")
    till.settle(Order.objects.get())

    assert tester.buy("SKU-01").status == 429
    assert another_shopper.buy("SKU-01").status == 303


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
def test_look_up_is_put_off_alike_whether_there_is_such_an_order(
    shopper: Shopper, settings: Settings, shelf: list[Product], email: str
) -> None:
    settings.LIMIT_LOOKUP = read_rates("address 2/10m")
    order = placed_order(shelf[0])
    form = read_form(shopper.web.get("/orders/find/").text, "/orders/find/")
    form |= {"number": order.number, "email": email}
    asked = [shopper.web.post("/orders/find/", form).status for _ in range(2)]
    Mail.objects.filter(kind=Mail.Kind.LINK).update(sent_at=NOON)
    mails = Mail.objects.count()

    put_off = shopper.web.post("/orders/find/", form)

    assert asked == [303, 303]
    assert put_off.status == 429
    assert "You can try again in 7 minutes" in put_off.words
    assert email not in put_off.text
    assert order.number not in put_off.text
    assert retry_after(shopper, "/orders/find/", form) == "420"
    assert Mail.objects.count() == mails


def test_look_up_with_a_mistake_is_counted_too(shopper: Shopper, settings: Settings) -> None:
    settings.LIMIT_LOOKUP = read_rates("address 2/10m")
    form = read_form(shopper.web.get("/orders/find/").text, "/orders/find/")

    asked = [shopper.web.post("/orders/find/", form | {"number": "1"}).status for _ in range(3)]

    assert asked == [422, 422, 429]


def test_neither_address_nor_token_is_logged(
    shopper: Shopper, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "checkout")
    settings.LIMIT_PLACING = read_rates("session 1/10m")
    from_address(shopper, "203.0.113.9").buy("SKU-01")
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    shopper.submit(form)

    [said] = [record for record in caplog.records if "limit" in vars(record)]
    assert said.getMessage() == "A limit was reached, put off"
    assert (vars(said)["limit"], vars(said)["scope"]) == ("placing", "session")
    everything = str([vars(record) for record in caplog.records])
    assert form["token"] not in everything
    assert "203.0.113.9" not in everything
    assert Order.objects.get().from_address not in everything
