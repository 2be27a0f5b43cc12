"""Requests as proxies, old clients and strict browsers send them: done once and in whole, or
refused by name, and never half or in silence."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.models import Cart, CartLine
from checkout.orders.models import Order, OutboxMessage
from payments.models import WebhookEvent
from tests.checkout.test_bytes import addresses
from tests.payments.test_webhooks import SECRET, event, signature
from tests.support.api_caller import ORDERS, PURCHASE, Caller, new_caller
from tests.support.drawing import without_drawing
from tests.support.factories import placed_order
from tests.support.shopper import Answer, InProcess, Shopper, read_form
from tests.support.statements import WRITES, statements

STRIPE = "/payments/webhooks/stripe/"


def answer_of(response: object) -> Answer:
    return InProcess._answer(InProcess(), response)  # type: ignore[arg-type] # the client's own class


@pytest.fixture
def https_only(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.CSRF_TRUSTED_ORIGINS = ["https://testserver"]


@pytest.mark.usefixtures("https_only")
@pytest.mark.parametrize("path", ["/checkout/", "/cart/add/", "/account/sign-up/", STRIPE, "/no"])
@pytest.mark.parametrize("proto", [None, "http", "http, https"])
def test_form_over_plain_http_is_refused_by_name(
    shelf: list[Product], path: str, proto: str | None
) -> None:
    headers = {"X-Forwarded-Proto": proto} if proto else {}

    answer = answer_of(Client().post(path, {"sku": "SKU-01"}, headers=headers))

    assert (answer.status, answer.location) == (403, "")
    assert "unprotected connection" in answer.words
    assert "nothing was stored, ordered or charged" in answer.words
    assert not Cart.objects.exists()


@pytest.mark.usefixtures("https_only")
def test_refusal_over_plain_http_speaks_the_language_of_the_browser(db: None) -> None:
    answer = Client().post("/checkout/", headers={"Accept-Language": "de"})

    assert 'lang="de"' in answer.content.decode()
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.usefixtures("https_only")
def test_api_over_plain_http_is_a_problem_document(shelf: list[Product]) -> None:
    answer = new_caller().place()

    assert (answer.status, answer.problem) == (403, "https-required")
    assert answer.json["charged"] is False
    assert not Order.objects.exists()


@pytest.mark.usefixtures("https_only")
def test_who_only_asks_over_plain_http_is_led_to_https(db: None) -> None:
    for method in ("GET", "HEAD"):
        answer = Client().generic(method, "/cart/?a=b")
        assert (answer.status_code, answer.headers["Location"]) == (
            301,
            "https://testserver/cart/?a=b",
        )
    assert Client().get("/healthz").status_code == 200


@pytest.mark.usefixtures("https_only")
def test_signed_event_over_plain_http_is_refused_and_comes_again(
    settings: Settings, shelf: list[Product]
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    body = event({"id": "pi_1"})
    signed = {"Stripe-Signature": signature(body)}

    refused = Client().post(STRIPE, body, content_type="application/json", headers=signed)
    taken = Client().post(
        STRIPE,
        body,
        content_type="application/json",
        headers=signed | {"X-Forwarded-Proto": "https"},
    )

    assert (refused.status_code, taken.status_code) == (403, 200)
    assert WebhookEvent.objects.count() == 1


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("path", ["/checkout", "/cart/add", "/account/sign-up", STRIPE[:-1]])
def test_form_to_an_address_without_its_slash_is_not_lost_in_silence(
    settings: Settings, shelf: list[Product], path: str, debug: bool
) -> None:
    settings.DEBUG = debug

    answer = Client(raise_request_exception=False).post(path, {"sku": "SKU-01"})

    assert answer.status_code == 404
    assert Client().get("/cart").headers["Location"] == "/cart/"


def test_form_of_staff_without_its_slash_is_not_lost_in_silence(db: None) -> None:
    staff = Client()
    staff.force_login(User.objects.create_superuser("staff"))

    assert staff.post("/admin/catalogue/product/add", {"sku": "x"}).status_code == 404
    assert staff.get("/admin/catalogue/product/add").status_code == 301


@pytest.fixture
def strict(shelf: list[Product]) -> Client:
    """With the check against forged requests that real requests meet."""
    return Client(enforce_csrf_checks=True)


def test_checkout_without_cookies_keeps_what_was_typed(shopper: Shopper, strict: Client) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    answer = answer_of(strict.post("/checkout/", form))

    assert answer.status == 403
    assert "Your browser sent no cookies" in answer.words
    assert "Nothing was ordered or charged by this press" in answer.words
    again = read_form(answer.text, "/checkout/")
    assert {name: again[name] for name in shopper.typed if name != "payment_method"} == {
        name: value for name, value in shopper.typed.items() if name != "payment_method"
    }
    # The same form, once the cookies come along again, is the same purchase.
    csrf = {"csrfmiddlewaretoken": form["csrfmiddlewaretoken"]}
    assert shopper.submit(again | csrf | shopper.typed).status == 303
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "typed", "shown"),
    [
        (
            "/account/sign-up/",
            {"email": "ada@example.com", "password": "quill 7"},
            "ada@example.com",
        ),
        ("/account/sign-in/", {"username": "ada@example.com", "password": "quill 7"}, "ada@"),
        ("/orders/find/", {"number": "100001-19", "email": "ada@example.com"}, "100001-19"),
        ("/cart/change/", {"sku": "SKU-01", "quantity": "7"}, "7"),
        ("/orders/find/", {"number": "4242 4242 4242 4242", "email": "a@b.example"}, "a@b.example"),
    ],
)
def test_other_forms_without_cookies_show_what_was_typed(
    strict: Client, path: str, typed: dict[str, str], shown: str
) -> None:
    answer = answer_of(strict.post(path, typed))

    assert answer.status == 403
    assert "Nothing was changed, ordered or charged" in answer.words
    assert shown in answer.words.partition("What you typed")[2]
    assert "quill 7" not in answer.text
    assert "4242" not in answer.text


@pytest.mark.parametrize("origin", ["null", "https://elsewhere.example", "nonsense"])
def test_form_whose_origin_is_hidden_says_so(shopper: Shopper, origin: str) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    assert isinstance(shopper.web, InProcess)

    answer = answer_of(shopper.web.client.post("/checkout/", form, headers={"Origin": origin}))

    assert answer.status == 403
    assert "did not say which page this came from" in answer.words
    assert "Nothing was ordered or charged by this press" in answer.words
    assert not Order.objects.exists()
    assert shopper.submit(read_form(answer.text, "/checkout/") | shopper.typed).status == 303


@pytest.mark.usefixtures("https_only")
def test_form_without_origin_and_referer_says_so(shelf: list[Product]) -> None:
    """As old clients send it: over HTTPS one of the two is needed."""
    client = Client(enforce_csrf_checks=True, HTTP_X_FORWARDED_PROTO="https")
    token = read_form(client.get("/").content.decode(), "/cart/add/")["csrfmiddlewaretoken"]
    form = {"csrfmiddlewaretoken": token, "sku": "SKU-01", "quantity": "1"}

    refused = answer_of(client.post("/cart/add/", form))
    taken = client.post("/cart/add/", form, headers={"Referer": "https://testserver/"})

    assert refused.status == 403
    assert "did not say which page this came from" in refused.words
    assert taken.status_code == 303


def test_staff_who_were_signed_out_keep_their_reason(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    staff = Client()
    staff.force_login(User.objects.create_superuser("staff"))
    before = OutboxMessage.objects.count()
    Session.objects.all().delete()

    answer = answer_of(
        staff.post(f"/admin/orders/order/{order.pk}/retry/", {"why": "The bank has called"})
    )

    assert (answer.status, answer.location) == (403, "")
    assert "You are signed out" in answer.words
    assert "The bank has called" in answer.words
    assert OutboxMessage.objects.count() == before
    assert staff.get(f"/admin/orders/order/{order.pk}/retry/").status_code == 302


@pytest.fixture
def writes() -> Iterator[list[str]]:
    """The statements that changed something, but for the counts of limits."""
    with statements(rf"(?s)^(?!.*orders_limitcount)(?:{WRITES})") as found:
        yield found


def test_head_is_answered_as_get_and_writes_nothing(
    shopper: Shopper, caller: Caller, writes: list[str]
) -> None:
    order = Order.objects.get(reference=caller.place().json["reference"])
    Order.objects.update(status="action_required", action_url="https://bank.example/")
    user = User.objects.create_superuser("staff", "staff@example.com", "quill and parchment")
    staff = Client(raise_request_exception=False)
    staff.force_login(user)
    shopper.add_to_cart("SKU-01")
    asked = {
        *addresses(order.reference),
        *addresses(str(order.pk)),
        f"/orders/{order.reference}/?redirect_status=succeeded",
        *_links(order, user),
    }
    assert isinstance(shopper.web, InProcess)
    # Whoever is not signed in is led to the same page from every page of the admin.
    of_staff = {each for each in asked if each.startswith("/admin/")}
    everybodys = asked - of_staff | {"/admin/", "/admin/login/"}
    for client, paths in ((shopper.web.client, everybodys), (staff, of_staff)):
        for path in sorted(each for each in paths if "logout" not in each):
            del writes[:]
            head = client.head(path)
            assert writes == [], path
            if "docs" in path or "openapi" in path or path == "/admin/login/":
                continue  # the last is Django's: it leads on who is signed in by GET alone
            with without_drawing():  # what it says was drawn for HEAD, and thrown away
                get = client.get(path)
            assert head.status_code == get.status_code, path
            assert head.headers.get("Location") == get.headers.get("Location"), path


def _links(order: Order, user: User) -> list[str]:
    from django.contrib.auth.tokens import default_token_generator
    from django.utils.http import urlsafe_base64_encode

    from checkout.orders.links import link_path

    uid = urlsafe_base64_encode(str(user.pk).encode())
    token = default_token_generator.make_token(user)
    return [link_path(order), f"/account/password/{uid}/{token}/"]


@pytest.fixture
def caller(shelf: list[Product]) -> Caller:
    return new_caller()


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_method_is_the_one_of_the_request(caller: Caller, header: str) -> None:
    overridden = {header.replace("-", "_"): "GET"}
    assert caller.send("POST", ORDERS, b"{}", **overridden).problem == "idempotency-key-missing"

    assert (
        Client().get("/cart/add/?_method=POST&sku=SKU-01", headers={header: "POST"}).status_code
        == 405
    )
    assert not Cart.objects.exists()


def test_host_that_a_proxy_names_is_not_believed(settings: Settings, db: None) -> None:
    answer = Client().get("/account/", headers={"X-Forwarded-Host": "evil.example, testserver"})

    assert answer.headers["Location"] == "/account/sign-in/?next=/account/"


def test_body_of_another_type_is_refused_by_name(strict: Client) -> None:
    for kind in ("text/plain", "application/x-unknown", "", "multipart/form-data"):
        answer = strict.generic("POST", "/cart/add/", b"sku=SKU-01&quantity=1", kind)
        assert answer.status_code in {400, 403}, kind
        assert "charged" in answer.content.decode()
    broken = b'--b\r\nContent-Disposition: form-data; name="sku"\r\n\r\nSKU-01'
    for kind in ("multipart/form-data; boundary=", "multipart/form-data; boundary=b"):
        assert strict.generic("POST", "/cart/add/", broken, kind).status_code in {400, 403}
    assert not CartLine.objects.exists()


def test_long_query_is_no_error(shopper: Shopper) -> None:
    for path in ("/", "/cart/", "/account/sign-in/", "/account/sign-up/"):
        assert shopper.web.get(f"{path}?next={'a' * 100_000}").status == 200


def test_event_counts_by_its_raw_bytes(settings: Settings, shelf: list[Product]) -> None:
    """Re-encoded by a proxy it is another body; with a charset named, it is the same."""
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    body = event({"id": "pi_1", "description": "Ä"})
    signed = {"Stripe-Signature": signature(body)}
    kind = "application/json"

    def status(sent: bytes, kind: str = kind, **more: str) -> int:
        headers = signed | {name.replace("_", "-"): value for name, value in more.items()}
        return Client().post(STRIPE, sent, content_type=kind, headers=headers).status_code

    assert status(body.decode("unicode_escape").encode()) == 400
    assert status(body + b"\n") == 400
    assert status(body.ljust(70_000)) == 413
    assert status(body, Content_Encoding="gzip", Origin="null") == 200
    assert status(body, f"{kind}; charset=ISO-8859-1") == 200
    assert status(body, "text/plain") == 200
    assert WebhookEvent.objects.count() == 1


def test_purchase_of_the_api_that_is_sent_twice_by_a_proxy_is_one(caller: Caller) -> None:
    first, second = caller.place("k-1", PURCHASE), caller.place("k-1", PURCHASE)

    assert first.json["reference"] == second.json["reference"]
    for joined in ("k-1, k-2", '"k-1", "k-2"'):
        assert caller.place(joined, PURCHASE).problem == "idempotency-key-malformed"
