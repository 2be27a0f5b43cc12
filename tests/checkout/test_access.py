"""Who may do what with an order. To everybody else it does not exist, and nothing tells that it
does."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import URLPattern, get_resolver

from checkout.catalogue.models import Product
from checkout.orders.links import link_path
from checkout.orders.models import Order, new_reference
from checkout.orders.states import OrderStatus
from checkout.urls import urlpatterns
from tests.support.mailer import send_mails
from tests.support.shopper import Answer, InProcess, Shopper, read_form

NOBODY_HAS = "A" * 22

Visit = Callable[[Shopper, Order], None]


def by_account(name: str, *, staff: bool = False, sees: bool = False, root: bool = False) -> Visit:
    def sign_in(visitor: Shopper, order: Order) -> None:
        user = User.objects.create_user(name, is_staff=staff or root, is_superuser=root)
        if sees:
            user.user_permissions.add(Permission.objects.get(codename="view_order"))
        sign_in_as(visitor, user)

    return sign_in


def sign_in_as(visitor: Shopper, user: User) -> None:
    assert isinstance(visitor.web, InProcess)
    visitor.web.client.force_login(user)


def by_own_account(visitor: Shopper, order: Order) -> None:
    assert order.customer
    sign_in_as(visitor, order.customer)


def by_link(visitor: Shopper, order: Order) -> None:
    assert visitor.web.get(link_path(order)).status == 303


def another_purchase(visitor: Shopper, order: Order) -> None:
    visitor.typed["email"] = "eve@example.com"
    visitor.buy("SKU-02")


@dataclass(frozen=True)
class Who:
    comes: Visit
    may_look: bool = False
    may_pay: bool = False


WHO = {
    "nobody": Who(lambda visitor, order: None),
    "another session": Who(another_purchase),
    "another user": Who(by_account("eve")),
    "owner's account elsewhere": Who(by_own_account, may_look=True, may_pay=True),
    "signed link": Who(by_link, may_look=True, may_pay=True),
    "staff who may see orders": Who(by_account("ann", staff=True, sees=True), may_look=True),
    "staff without that": Who(by_account("bob", staff=True)),
    "no staff, with that": Who(by_account("cid", sees=True)),
    "superuser": Who(by_account("dan", root=True), may_look=True),
    "the session that placed it": Who(lambda visitor, order: None, may_look=True, may_pay=True),
}

# Every address with a reference in it, and who gets an answer: each has its row here.
LOOKS, PAYS, CANCELS = "looks", "pays", "cancels"
ADDRESSES = {
    "order": LOOKS,
    "order_status": LOOKS,
    "pay": PAYS,
    "order_cancel": CANCELS,
    # test_invoice_pages.py goes through these.
    "invoice": LOOKS,
    "invoice_pdf": LOOKS,
}


@pytest.fixture
def order(shopper: Shopper) -> Order:
    sign_in_as(shopper, User.objects.create_user("owner"))
    shopper.buy("SKU-01")
    order = Order.objects.get()
    Order.objects.update(status=OrderStatus.PAYMENT_FAILED)
    return order


@pytest.fixture
def visitor(request: pytest.FixtureRequest, shopper: Shopper, order: Order) -> Shopper:
    is_first = request.node.callspec.params["who"] == "the session that placed it"
    return shopper if is_first else Shopper(InProcess())


def same_but(answer: Answer, reference: str) -> tuple[int, str]:
    """Without what differs between any two answers."""
    text = answer.text.replace(reference, "…")
    text = re.sub(r"Reference for our support: [0-9a-f]{12}<", "", text)
    return answer.status, re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)


def test_every_address_of_an_order_has_a_row() -> None:
    with_reference = {
        pattern.name
        for pattern in urlpatterns
        if isinstance(pattern, URLPattern) and "reference" in str(pattern.pattern)
    }
    assert with_reference == set(ADDRESSES)
    known = get_resolver().reverse_dict
    assert all(name in known for name in ADDRESSES)


@pytest.mark.parametrize("who", WHO)
def test_looking(visitor: Shopper, order: Order, who: str) -> None:
    WHO[who].comes(visitor, order)

    for tail in ("", "status/"):
        real = visitor.web.get(f"/orders/{order.reference}/{tail}")
        unreal = visitor.web.get(f"/orders/{NOBODY_HAS}/{tail}")

        assert unreal.status == 404
        if WHO[who].may_look:
            assert real.status == 200
            assert "was declined" in real.words
            can_pay = read_form(real.text, f"/orders/{order.reference}/pay/") != {}
            assert can_pay is (WHO[who].may_pay and not tail)
        else:
            assert same_but(real, order.reference) == same_but(unreal, NOBODY_HAS)
            assert order.number not in real.text


@pytest.mark.parametrize("who", WHO)
def test_paying(visitor: Shopper, order: Order, who: str) -> None:
    WHO[who].comes(visitor, order)
    token = read_form(visitor.web.get("/orders/find/").text, "/orders/find/")
    typed = token | {"payment_method": "pm_card_visa", "failed_round": "1"}

    unreal = visitor.web.post(f"/orders/{NOBODY_HAS}/pay/", typed)
    real = visitor.web.post(f"/orders/{order.reference}/pay/", typed)

    assert unreal.status == 404
    order.refresh_from_db()
    if WHO[who].may_pay:
        assert (real.status, order.status) == (303, OrderStatus.PLACED)
    else:
        assert same_but(real, order.reference) == same_but(unreal, NOBODY_HAS)
        assert order.status == OrderStatus.PAYMENT_FAILED


@pytest.mark.parametrize("who", WHO)
def test_cancelling(visitor: Shopper, order: Order, who: str) -> None:
    """Whoever may pay may cancel."""
    WHO[who].comes(visitor, order)
    token = read_form(visitor.web.get("/orders/find/").text, "/orders/find/")
    page = visitor.web.get(f"/orders/{order.reference}/cancel/")

    unreal = visitor.web.post(f"/orders/{NOBODY_HAS}/cancel/", token | {"way": "unpaid"})
    real = visitor.web.post(f"/orders/{order.reference}/cancel/", token | {"way": "unpaid"})

    assert unreal.status == 404
    order.refresh_from_db()
    if WHO[who].may_pay:
        assert (page.status, real.status, order.cancelled_by) == (200, 303, "customer")
    else:
        assert same_but(real, order.reference) == same_but(unreal, NOBODY_HAS)
        assert (page.status, order.cancelled_by) == (404, "")


def test_look_up_says_the_same_of_any_order(shopper: Shopper, order: Order) -> None:
    asker = Shopper(InProcess())
    answers = []
    for number, email in [
        (order.number, order.email),
        (f" {order.number} ", f" {order.email.upper()} "),
        (order.number, "eve@example.com"),
        ("100000-22", order.email),
    ]:
        form = read_form(asker.web.get("/orders/find/").text, "/orders/find/")
        answers.append(asker.web.post("/orders/find/", form | {"number": number, "email": email}))

    assert {(a.status, a.location) for a in answers} == {(303, "/orders/find/sent/")}, [
        a.words for a in answers
    ]
    send_mails()
    assert order.mails.filter(kind="link").count() == 1


def test_references_do_not_repeat_and_cannot_be_guessed() -> None:
    references = {new_reference() for _ in range(100_000)}

    assert len(references) == 100_000
    assert {len(reference) for reference in references} == {22}  # 128 bits, six in a character


def test_number_grants_nothing(order: Order, shelf: list[Product]) -> None:
    for address in (f"/orders/{order.number}/", f"/orders/{order.pk}/"):
        assert Client().get(address).status_code == 404
