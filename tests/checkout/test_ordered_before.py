"""The same goods for the same customer from elsewhere: asked once, never merged, never refused."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Mail, Order, OrderEvent
from checkout.orders.states import UNSETTLED, OrderStatus
from tests.support.shopper import Answer, InProcess, Shopper, read_form
from tests.support.till import Till

QUESTION = "Did you order this already?"

# To whoever has shown that the order is theirs.
QUESTION_WITH_TIME = "You already ordered this at"
SEE = "/checkout/ordered-before/"


def asked(answer: Answer, question: str = QUESTION) -> dict[str, str]:
    assert answer.status == 409
    assert question in answer.words
    assert "Nothing was ordered or charged" in answer.words
    return read_form(answer.text, "/checkout/")


def is_asked(answer: Answer) -> bool:
    return QUESTION in answer.words


def test_same_purchase_from_another_device_is_asked_about(
    shopper: Shopper, elsewhere: Shopper, till: Till
) -> None:
    shopper.buy("SKU-01")

    form = asked(elsewhere.buy("SKU-01"))

    assert Order.objects.count() == 1
    assert {name: form[name] for name in elsewhere.typed} == elsewhere.typed
    till.settle_everything_twice()
    assert len(till.charges()) == 1


def test_asked_again_and_again_until_answered(shopper: Shopper, elsewhere: Shopper) -> None:
    shopper.buy("SKU-01")
    elsewhere.add_to_cart("SKU-01")
    form = elsewhere.open_checkout()

    answers = [elsewhere.submit(form) for _ in range(3)]

    assert [is_asked(answer) for answer in answers] == [True, True, True]
    assert Order.objects.count() == 1


def test_ordering_it_again_makes_the_second_order_and_both_tell_of_it(
    shopper: Shopper, elsewhere: Shopper, till: Till
) -> None:
    shopper.buy("SKU-01")
    form = asked(elsewhere.buy("SKU-01"))

    first, again = elsewhere.submit(form), elsewhere.submit(form)

    assert (first.status, again.status) == (303, 303)
    assert first.location == again.location
    till.settle_everything_twice()
    assert len(till.charges()) == 2
    older, newer = Order.objects.order_by("id")
    for order, other in ((older, newer), (newer, older)):
        note = order.events.get(kind=OrderEvent.Kind.TWIN_ORDERED)
        assert other.number in note.reason
    assert "the answer was yes" in elsewhere.look(first).words


def test_answer_is_good_for_that_purchase_alone(
    shopper: Shopper, elsewhere: Shopper, till: Till
) -> None:
    shopper.buy("SKU-01")
    answer = asked(elsewhere.buy("SKU-01"))["again"]
    third = Shopper(InProcess())
    third.add_to_cart("SKU-01")
    form = third.open_checkout() | {"again": answer}

    assert is_asked(third.submit(form))
    assert is_asked(third.submit(form | {"again": "yes"}))
    assert Order.objects.count() == 1


def test_seeing_it_leads_to_its_link_by_mail(
    shopper: Shopper, elsewhere: Shopper, till: Till
) -> None:
    shopper.buy("SKU-01")
    question = elsewhere.buy("SKU-01")
    seeing = read_form(question.text, SEE)

    answers = [elsewhere.web.post(SEE, seeing) for _ in range(2)]

    assert [answer.location for answer in answers] == ["/orders/find/sent/"] * 2
    order = Order.objects.get()
    assert order.mails.filter(kind=Mail.Kind.LINK).count() == 1
    assert order.events.filter(kind=OrderEvent.Kind.TWIN_SEEN).count() == 1
    assert (
        "this order was looked at instead"
        in shopper.look(Answer(303, f"/orders/{order.reference}/", "")).words
    )


def test_whoever_has_opened_the_order_sees_it_at_once(
    shopper: Shopper, elsewhere: Shopper, till: Till
) -> None:
    shopper.buy("SKU-01")
    order = Order.objects.get()
    elsewhere.open_link(order)

    question = elsewhere.buy("SKU-01")
    answer = elsewhere.web.post(SEE, read_form(question.text, SEE))

    assert QUESTION_WITH_TIME in question.words
    assert answer.location == f"/orders/{order.reference}/"


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("full_name", "Eve"),
        ("address", "1 Elsewhere"),
        ("city", "Dublin"),
        ("postcode", "D02 X285"),
        ("country", "GB"),
    ],
)
def test_whoever_knows_an_address_and_the_goods_alone_learns_nothing(
    shopper: Shopper, elsewhere: Shopper, field: str, typed: str
) -> None:
    shopper.buy("SKU-01")
    elsewhere.typed[field] = typed

    answer = elsewhere.buy("SKU-01")

    assert answer.status == 303
    assert Order.objects.count() == 2


def test_question_to_who_has_typed_it_all_tells_nothing_that_was_not_typed(
    shopper: Shopper, elsewhere: Shopper
) -> None:
    shopper.buy("SKU-01")
    order = Order.objects.get()

    question = elsewhere.buy("SKU-01")

    asked(question)
    assert QUESTION_WITH_TIME not in question.words
    assert order.number not in question.text
    assert order.reference not in question.text
    assert f"{order.placed_at:%H:%M}" not in question.words


def test_same_address_typed_another_way_is_the_same(shopper: Shopper, elsewhere: Shopper) -> None:
    shopper.buy("SKU-01")
    elsewhere.typed |= {"full_name": "ada  quillfeather", "address": "12, Inkwell Lane."}

    assert is_asked(elsewhere.buy("SKU-01"))


def test_made_up_answer_shows_nothing(shopper: Shopper, elsewhere: Shopper, till: Till) -> None:
    shopper.buy("SKU-01")
    question = elsewhere.buy("SKU-01")
    seeing = read_form(question.text, SEE)

    answer = elsewhere.web.post(SEE, seeing | {"answer": seeing["answer"][:-1] + "?"})

    assert answer.status == 404
    assert not Order.objects.get().mails.filter(kind=Mail.Kind.LINK).exists()


def test_same_device_is_not_asked(shopper: Shopper, till: Till) -> None:
    """Whoever filled the cart a second time, in the same browser, wants it a second time."""
    shopper.buy("SKU-01")

    assert shopper.buy("SKU-01").status == 303

    assert Order.objects.count() == 2


@pytest.mark.parametrize(
    ("sku", "quantity", "email"),
    [
        ("SKU-02", 1, "ada@example.com"),
        ("SKU-01", 2, "ada@example.com"),
        ("SKU-01", 1, "other@example.com"),
    ],
)
def test_other_goods_or_another_customer_are_not_asked(
    shopper: Shopper, elsewhere: Shopper, sku: str, quantity: int, email: str
) -> None:
    shopper.buy("SKU-01")
    elsewhere.typed["email"] = email

    assert elsewhere.buy(sku, quantity).status == 303

    assert Order.objects.count() == 2


def test_same_goods_in_another_order_and_another_spelling_are_the_same(
    shopper: Shopper, elsewhere: Shopper, till: Till
) -> None:
    shopper.add_to_cart("SKU-02")
    shopper.buy("SKU-01")
    elsewhere.typed["email"] = "Ada@Example.com"
    elsewhere.add_to_cart("SKU-01")

    assert is_asked(elsewhere.buy("SKU-02"))


@pytest.mark.parametrize("status", OrderStatus)
def test_asked_about_what_is_on_its_way_or_paid(
    shopper: Shopper, elsewhere: Shopper, status: OrderStatus
) -> None:
    shopper.buy("SKU-01")
    Order.objects.update(status=status)

    is_on_its_way = set(UNSETTLED) | {OrderStatus.PAID}
    assert is_asked(elsewhere.buy("SKU-01")) == (status in is_on_its_way)


def test_not_asked_about_what_is_an_hour_old(shopper: Shopper, elsewhere: Shopper) -> None:
    shopper.buy("SKU-01")
    Order.objects.update(placed_at=timezone.now() - timedelta(minutes=61))

    assert elsewhere.buy("SKU-01").status == 303


def test_same_account_is_asked_whatever_address_it_types(
    shopper: Shopper, elsewhere: Shopper, till: Till
) -> None:
    ada = User.objects.create_user("ada", password="correct horse")
    for somebody in (shopper, elsewhere):
        assert isinstance(somebody.web, InProcess)
        somebody.web.client.force_login(ada)
    shopper.buy("SKU-01")
    elsewhere.typed["email"] = "other@example.com"

    question = elsewhere.buy("SKU-01")

    asked(question, QUESTION_WITH_TIME)
    seen = elsewhere.web.post(SEE, read_form(question.text, SEE))
    assert seen.location == f"/orders/{Order.objects.get().reference}/"


def test_question_costs_one_statement_whatever_was_ordered_before(
    shopper: Shopper, shelf: list[Product]
) -> None:
    def statements() -> int:
        buyer = Shopper(InProcess())
        buyer.add_to_cart("SKU-01")
        form = buyer.open_checkout()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            buyer.submit(form)
        return len(queries)

    alone = statements()
    Order.objects.update(placed_at=timezone.now() - timedelta(hours=2))
    for _ in range(5):
        shopper.buy("SKU-01")

    assert Order.objects.count() == 6
    Order.objects.update(status=OrderStatus.CANCELLED)
    assert statements() == alone
