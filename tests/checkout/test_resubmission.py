"""However the same purchase is sent again, it ends as one order and one charge.

The rows that need real processes or a broken network are in tests/acceptance.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.cart import NONCE_KEY
from checkout.catalogue.models import Product
from checkout.orders.models import Order, OrderEvent
from checkout.tokens import SALT
from tests.support.clock import move_time
from tests.support.filled import filled as filled
from tests.support.shopper import TYPED, Answer, InProcess, Shopper, read_form
from tests.support.till import Till, assert_one_order_one_charge

A_DAY = timedelta(days=1)


def assert_form_is_back(
    answer: Answer, *, status: int, saying: str, typed: dict[str, str] = TYPED
) -> dict[str, str]:
    """The form again, with everything that was typed, and a sentence that says what happened."""
    assert answer.status == status
    assert saying in answer.words
    assert "Nothing was ordered or charged" in answer.words
    form = read_form(answer.text, "/checkout/")
    assert {name: form.get(name) for name in typed} == typed
    return form


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    move_time(monkeypatch, timezone.now() + by)


def test_second_post_is_answered_with_the_first_order(shopper: Shopper, till: Till) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    first, second = shopper.submit(form), shopper.submit(form)

    assert (first.status, second.status) == (303, 303)
    assert first.location == second.location
    order = assert_one_order_one_charge(till)
    assert order.resubmission_count == 1
    assert order.events.filter(kind=OrderEvent.Kind.RESUBMITTED).count() == 1


def test_reloading_the_order_page_changes_nothing(shopper: Shopper, till: Till) -> None:
    answer = shopper.buy("SKU-01")

    pages = [shopper.look(answer) for _ in range(3)]

    assert [page.status for page in pages] == [200, 200, 200]
    assert assert_one_order_one_charge(till).resubmission_count == 0
    assert "You were charged once" in shopper.look(answer).words


def test_back_and_submit_leads_to_the_order(shopper: Shopper, till: Till) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    first = shopper.submit(form)
    shopper.look(first)

    again = shopper.submit(form)  # the browser shows the old page and sends it as it was

    assert again == first
    assert_one_order_one_charge(till)


def test_checkout_of_a_bought_cart_shows_its_order(shopper: Shopper, till: Till) -> None:
    bought = shopper.buy("SKU-01")

    fresh_form = shopper.web.get("/checkout/")

    assert (fresh_form.status, fresh_form.location) == (303, bought.location)
    assert_one_order_one_charge(till)


def test_second_tab_submits_the_same_purchase(shopper: Shopper, till: Till) -> None:
    shopper.add_to_cart("SKU-01")
    first_tab, second_tab = shopper.open_checkout(), shopper.open_checkout()

    answers = {shopper.submit(first_tab).location, shopper.submit(second_tab).location}

    assert len(answers) == 1
    assert_one_order_one_charge(till)


def test_form_rendered_twice_carries_one_purchase(
    shopper: Shopper, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper.add_to_cart("SKU-01")
    first = shopper.open_checkout()
    later(monkeypatch, timedelta(minutes=1))
    second = shopper.open_checkout()
    assert first["token"] != second["token"]

    answers = {shopper.submit(first).location, shopper.submit(second).location}

    assert len(answers) == 1
    assert_one_order_one_charge(till)


def test_login_between_form_and_submit_keeps_the_purchase(shopper: Shopper, till: Till) -> None:
    User.objects.create_user("ada", password="correct horse", is_staff=True)
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    login = read_form(shopper.web.get("/admin/login/").text, "/admin/login/")
    login |= {"username": "ada", "password": "correct horse", "next": "/"}
    assert shopper.web.post("/admin/login/", login).status == 302

    refused = shopper.submit(form)  # the login has changed the secret of the CSRF check

    offered = assert_form_is_back(refused, status=403, saying="press the button once more")
    assert offered["token"] == form["token"]
    assert shopper.submit(offered).status == 303
    assert_one_order_one_charge(till)


def test_login_after_the_purchase_still_leads_a_repeat_to_it(shopper: Shopper, till: Till) -> None:
    User.objects.create_user("ada", password="correct horse", is_staff=True)
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    first = shopper.submit(form)
    login = read_form(shopper.web.get("/admin/login/").text, "/admin/login/")
    login |= {"username": "ada", "password": "correct horse", "next": "/"}
    shopper.web.post("/admin/login/", login)

    again = shopper.submit(form)

    assert (again.status, again.location) == (303, first.location)
    assert_one_order_one_charge(till)


def test_logout_voids_the_form(shopper: Shopper) -> None:
    User.objects.create_user("ada", password="correct horse", is_staff=True)
    assert isinstance(shopper.web, InProcess)
    shopper.web.client.login(username="ada", password="correct horse")
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    logout = read_form(shopper.web.get("/admin/").text, "/admin/logout/")
    assert shopper.web.post("/admin/logout/", logout).status == 200

    refused = shopper.submit(form | {"csrfmiddlewaretoken": csrf_of(shopper)})

    assert_form_is_back(refused, status=400, saying="does not belong to your current visit")
    assert not Order.objects.exists()


def csrf_of(shopper: Shopper) -> str:
    page = shopper.web.get("/")
    return read_form(page.text, "/cart/add/")["csrfmiddlewaretoken"]


def test_resubmit_a_day_later_leads_to_the_order(
    shopper: Shopper, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    first = shopper.submit(form)

    later(monkeypatch, A_DAY)
    again = shopper.submit(form)

    assert again == first  # used and expired: whether it was used is asked first
    assert_one_order_one_charge(till)


def test_expired_and_unused_form_comes_back_filled(
    shopper: Shopper, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    later(monkeypatch, A_DAY)

    expired = shopper.submit(form)

    offered = assert_form_is_back(expired, status=409, saying="open for a long time")
    assert not Order.objects.exists()
    assert offered["token"] != form["token"]
    assert shopper.submit(offered).status == 303
    assert_one_order_one_charge(till)


def test_expired_form_with_a_mistake_still_leads_to_its_order(
    shopper: Shopper, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    first = shopper.submit(form)

    later(monkeypatch, A_DAY)
    again = shopper.submit(form | {"email": ""})

    assert again.location == first.location
    assert_one_order_one_charge(till)


FORGED: dict[str, Callable[[str], str]] = {
    "missing": lambda token: "",
    "nonsense": lambda token: "x",
    "truncated": lambda token: token[:-1],
    "signature changed": lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
    "content changed": lambda token: "A" + token[1:],
    "with a NUL": lambda token: token + "\0",
    "other salt": lambda token: signing.dumps(signing.loads(token, salt=SALT), salt="another.salt"),
    "default salt": lambda token: signing.dumps(signing.loads(token, salt=SALT)),
    "other key": lambda token: signing.dumps(
        signing.loads(token, salt=SALT), salt=SALT, key="guessed"
    ),
    "other content": lambda token: signing.dumps(["not", "a", "token"], salt=SALT),
    "a mapping": lambda token: signing.dumps({"checkout_id": 1}, salt=SALT),
    "a number": lambda token: signing.dumps(17, salt=SALT),
}


def test_forged_token_is_refused_and_nothing_typed_is_lost(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    for kind, damage in FORGED.items():
        refused = shopper.submit(form | {"token": damage(form["token"])})

        assert refused.status == 400, kind
        assert_form_is_back(refused, status=400, saying="does not belong to your current visit")
        assert not Order.objects.exists(), kind


def test_another_sessions_token_reveals_nothing(
    shopper: Shopper, another_shopper: Shopper, till: Till
) -> None:
    shopper.add_to_cart("SKU-01")
    stolen = shopper.open_checkout()["token"]
    bought = shopper.submit(shopper.open_checkout())
    another_shopper.add_to_cart("SKU-02")
    form = another_shopper.open_checkout()

    used = another_shopper.submit(form | {"token": stolen})
    nonsense = another_shopper.submit(form | {"token": "nonsense"})

    refusal = "does not belong to your current visit"
    assert_form_is_back(used, status=400, saying=refusal, typed=another_shopper.typed)
    assert bought.location not in used.text
    assert used.words == nonsense.words  # so nobody learns whether an order exists
    assert_one_order_one_charge(till)


def test_same_token_with_an_edited_address_keeps_the_first_order(
    shopper: Shopper, till: Till
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    first = shopper.submit(form)

    edited = shopper.submit(form | {"address": "99 Elsewhere"})

    assert edited == first
    order = assert_one_order_one_charge(till)
    assert order.address == TYPED["address"]
    assert order.events.filter(kind=OrderEvent.Kind.RESUBMITTED_CHANGED).count() == 1
    page = shopper.look(edited).words
    assert "sent again" in page
    assert "nothing was charged by that" in page


def test_cart_changed_in_another_tab_is_asked_again(shopper: Shopper, till: Till) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    shopper.add_to_cart("SKU-02")

    changed = shopper.submit(form)

    offered = assert_form_is_back(changed, status=409, saying="Your cart was changed")
    assert "€10.01" in changed.words
    assert "€20.03" in changed.words
    assert not Order.objects.exists()
    shopper.submit(offered)
    assert assert_one_order_one_charge(till).total_minor == 2003


def test_cart_emptied_in_another_tab_orders_nothing(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    shopper.change_quantity("SKU-01", 0)

    changed = shopper.submit(form)

    assert_form_is_back(changed, status=409, saying="Your cart was changed")
    assert not Order.objects.exists()


def test_price_change_is_asked_again_and_never_silent(shopper: Shopper, till: Till) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    Product.objects.filter(sku="SKU-01").update(price_minor=99_00)

    changed = shopper.submit(form)

    offered = assert_form_is_back(changed, status=409, saying="A price has changed")
    assert "€10.01" in changed.words
    assert "€99.00" in changed.words
    assert not Order.objects.exists()
    shopper.submit(offered)
    assert assert_one_order_one_charge(till).total_minor == 99_00


def test_last_item_sold_to_somebody_else_is_said(
    shopper: Shopper, another_shopper: Shopper, till: Till
) -> None:
    shopper.add_to_cart("LAST")
    form = shopper.open_checkout()
    assert another_shopper.buy("LAST").status == 303

    late = shopper.submit(form)

    assert_form_is_back(late, status=409, saying="There is not enough left")
    assert "Globe: 0 left" in late.words
    assert Product.objects.get(sku="LAST").stock == 0
    assert_one_order_one_charge(till)


def test_used_token_leads_to_its_order_although_a_new_cart_was_begun(
    shopper: Shopper, till: Till
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    first = shopper.submit(form)
    shopper.add_to_cart("SKU-02")

    again = shopper.submit(form)

    assert again == first
    assert_one_order_one_charge(till)


def test_buying_again_on_purpose_is_a_second_order(shopper: Shopper) -> None:
    first, second = shopper.buy("SKU-01"), shopper.buy("SKU-01")

    assert first.location != second.location
    assert Order.objects.count() == 2


def test_mistake_in_the_form_keeps_everything_typed(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout() | {"email": "not an address"}

    answer = shopper.submit(form)

    assert answer.status == 422
    kept = read_form(answer.text, "/checkout/")
    assert {name: kept[name] for name in TYPED} == TYPED | {"email": "not an address"}
    assert not Order.objects.exists()


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_database_that_is_away_keeps_the_form(
    shopper: Shopper, till: Till, monkeypatch: pytest.MonkeyPatch, is_signed_in: bool
) -> None:
    """Away altogether: the page that says so asks it for nothing."""

    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("checkout.views.checkout.PATIENCE_SECONDS", 0.2)
    if is_signed_in:
        assert isinstance(shopper.web, InProcess)
        shopper.web.client.force_login(User.objects.create_user("ada"))
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    with connection.execute_wrapper(away):
        answer = shopper.submit(form)

    assert answer.status == 503
    assert "you cannot be charged twice" in answer.words
    offered = read_form(answer.text, "/checkout/")
    assert {name: offered.get(name) for name in [*TYPED, "token"]} == {
        name: form[name] for name in [*TYPED, "token"]
    }
    assert shopper.submit(offered).status == 303
    assert_one_order_one_charge(till)


def test_tokens_outlive_a_change_of_the_secret_key(
    shopper: Shopper, till: Till, settings: Settings
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "n" * 60

    assert shopper.submit(form).status == 303
    assert_one_order_one_charge(till)


def test_nonce_stays_out_of_reach_of_a_new_session(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    assert isinstance(shopper.web, InProcess)

    nonce = shopper.web.client.session[NONCE_KEY]

    assert len(nonce) >= 22  # 128 bits and more
