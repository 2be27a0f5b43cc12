"""A person with unusual words in every field is erased: no table, log or file has one of them.

The shop's own processes run: the person signs up, buys by the page and by the API, gets mails and a
parcel, sends goods back, withdraws, is refunded, and staff write about them.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone
from stdnum.iso7064 import mod_11_10

from checkout.catalogue.models import Product
from checkout.orders.attention.flags import end_reason, put_before_a_person
from checkout.orders.dispatch.returns import ReturnedPieces, take_return
from checkout.orders.dispatch.ship import ship
from checkout.orders.history import note_staff
from checkout.orders.models import (
    Invoice,
    Mail,
    Order,
    WebhookDelivery,
    Withdrawal,
    open_deliveries,
)
from checkout.orders.operations.staff_actions import tell_again
from checkout.orders.webhooks.endpoints import add_endpoint
from checkout.orders.withdrawals.decide import refuse
from checkout.orders.withdrawals.state import Stated, state_withdrawal
from payments.models import Refund
from payments.refunds import request_refund
from tests.doubles.smtp import MailServer, mail_server
from tests.doubles.webhook_receiver import Receiver, webhook_receiver
from tests.support.api_caller import PURCHASE, Answer, Caller, new_caller
from tests.support.canary import Canaries, number, word
from tests.support.long import long
from tests.support.processes import ROOT, ShopProcesses, eventually, run
from tests.support.rules import discount_code
from tests.support.sellers import SELLER_ENVIRONMENT
from tests.support.shopper import OverHttp, Shopper, read_form

pytestmark = long

# Nothing of the shop's own is in these. Postgres keeps deleted rows in its files until it vacuums.
NOT_OURS = frozenset(
    {
        ".git",
        ".venv",
        "__pycache__",
        "postgres",
        "postgres-binaries",
        "bench-venv",
        ".mypy_cache",
    }
)

# The law asks for these longer.
INVOICED = {"orders_invoice.content"}

PASSWORD = f"quill and {secrets.token_hex(8)}"

ADDRESS = ("full_name", "address", "address2", "city", "company")


def canary_person() -> Canaries:
    digits = number(8)
    letters = {
        name: word()
        for name in (
            *(f"{prefix}{part}" for prefix in ("", "billing_", "api_") for part in ADDRESS),
            *(
                "note",
                "refund_reason",
                "return_reason",
                "seen_to",
                "withdrawal",
                "decision",
                "first_name",
            ),
        )
    }
    plain = {
        name: word()[:-1].lower()
        for name in ("mail_name", "mail_domain", "postcode", "billing_postcode", "tracking")
    }
    vat_id = digits + mod_11_10.calc_check_digit(digits)
    return Canaries(letters | plain | {"phone": number(9), "vat_id": vat_id})


def typed_by(person: Canaries) -> dict[str, str]:
    """The form's fields. The domain has a letter outside of ASCII, and is stored without."""
    words = person.words
    ours = {name: words[name] for name in ADDRESS}
    bill = {f"billing_{name}": words[f"billing_{name}"] for name in ADDRESS}
    return {
        **ours,
        **bill,
        "email": f"{words['mail_name'].title()}@{words['mail_domain']}ü.example",
        "postcode": words["postcode"].upper(),
        "country": "IE",
        "billing_postcode": words["billing_postcode"].upper(),
        "billing_country": "IE",
        "phone": f"+353{words['phone']}",
        "vat_id": f"DE{words['vat_id']}",
        "code": "ONCE-ONLY",
        "payment_method": "pm_card_visa",
    }


@dataclass
class Shop:
    processes: ShopProcesses
    url: str
    mails: MailServer
    other_system: Receiver

    def manage(self, *command: str) -> tuple[int, str]:
        environment = {**self.processes.environment, "MESSAGE_VISIBILITY_SECONDS": "25"}
        environment |= {"PAYMENT_LEASE_SECONDS": "20"}
        ran = run(["python", "manage.py", *command], environment)
        return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def shop(processes: ShopProcesses) -> Iterator[Shop]:
    with mail_server() as mails, webhook_receiver() as receiver:
        more = {"EMAIL_URL": mails.url, "LOG_LEVEL": "DEBUG", "SIGN_IN_LOCKOUT": "true"}
        more |= {"SHOP_URL": "http://127.0.0.1", "WEBHOOKS_TO_PRIVATE_ADDRESSES": "true"}
        processes.environment = {**processes.environment, **SELLER_ENVIRONMENT, **more}
        web = processes.web()
        processes.publisher()
        processes.worker()
        processes.mailer()
        processes.webhook_sender()
        yield Shop(processes, web.url, mails, receiver)


def sign_up(shopper: Shopper, shop: Shop, email: str) -> None:
    """By the link in a real mail, after a wrong password."""
    path = "/account/sign-in/"
    wrong = {"username": email.upper(), "password": "wrong"}
    shopper.web.post(path, read_form(shopper.web.get(path).text, path) | wrong)
    path = "/account/sign-up/"
    shopper.web.post(path, read_form(shopper.web.get(path).text, path) | {"email": email})
    link = link_in(shop, r"/account/sign-up/[^\s/]+/")
    shopper.web.post(link, read_form(shopper.web.get(link).text, link) | {"password": PASSWORD})


def link_in(shop: Shop, pattern: str) -> str:
    found: list[str] = []

    def has_come() -> bool:
        bodies = [body_of(message) for message in list(shop.mails.accepted)]
        found[:] = [match[0] for body in bodies if (match := re.search(pattern, body))]
        return bool(found)

    eventually(has_come, seconds=60, what=f"a mail with {pattern}")
    return found[-1]


def body_of(message: object) -> str:
    part = message.get_body(("plain",))  # type: ignore[attr-defined] # EmailMessage
    return str(part.get_content())


def buy_by_the_api(shop: Shop, person: Canaries, caller: Caller, key: str) -> Answer:
    theirs = {name: person.words[f"api_{name}"] for name in ADDRESS}
    content = PURCHASE | theirs | {"email": typed_by(person)["email"]}
    return caller.at(shop.url).place(key, content)


def all_is_done() -> bool:
    unsent = Mail.objects.filter(sent_at=None).exists() or open_deliveries().exists()
    waits = Refund.objects.exclude(status="succeeded").exists()
    return not (unsent or waits or Order.objects.exclude(status__in=DONE).exists())


DONE = ["paid", "partly_refunded", "refunded"]


def live_through_a_purchase(order: Order, person: Canaries, staff: User) -> None:
    words, now = person.words, timezone.now()
    tracking = words["tracking"].upper()
    ship(order, None, key=f"form-{order.pk}", tracking_number=tracking, by="grace", now=now)
    note_staff(order.pk, "Noted", by="grace", why=words["note"], now=now)
    put_before_a_person(order.pk, "Something", now=now)
    end_reason(order.pk, "Something", by="grace", how=words["seen_to"], now=now)
    line = order.lines.all()[0]
    back = {line.pk: ReturnedPieces(1, restock=1)}
    why = words["return_reason"]
    take_return(order, back, key=f"back-{order.pk}", by="grace", why=why, now=now)
    payment = order.payments.get()
    reason = words["refund_reason"]
    request_refund(payment, amount_minor=100, reason=reason, requested_by=staff, now=now)
    stated = Stated(
        number=order.number,
        full_name=words["full_name"],
        email=order.email,
        about=words["withdrawal"],
    )
    state_withdrawal(stated, key=f"withdrawal-{order.pk}", language="en", now=now)
    statement = Withdrawal.objects.get(number=order.number)
    refuse(statement, by="grace", why=words["decision"], now=now)


def staff_change_the_account(person: Canaries, staff: User) -> None:
    [account] = User.objects.filter(is_staff=False, email__icontains=person.words["mail_name"])
    account.first_name = person.words["first_name"]
    account.save(update_fields=["first_name"])
    LogEntry.objects.create(
        user=staff,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(account.pk),
        object_repr=str(account),
        action_flag=CHANGE,
        change_message=person.words["first_name"],
    )


def bodies_told(shop: Shop, since: int) -> str:
    bodies = [each.body for each in shop.other_system.received[since:]]
    assert bodies
    return b"".join(bodies).decode()


def assert_audit_is_clean(shop: Shop) -> None:
    code, said = shop.manage("audit_orders")
    assert code == 0, said


def make_invoices_old() -> None:
    """As after years: the trigger lets nobody change one, so it stands aside."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_invoice DISABLE TRIGGER USER")
        cursor.execute("UPDATE orders_invoice SET year = 2001")
        cursor.execute("ALTER TABLE orders_invoice ENABLE TRIGGER USER")


@pytest.mark.timeout(400)
def test_no_trace_of_an_erased_person_is_left(
    shop: Shop, shelf: list[Product], tmp_path: Path
) -> None:
    person = canary_person()
    typed = typed_by(person)
    staff = User.objects.create_user("grace", is_staff=True)
    discount_code("ONCE-ONLY", kind="amount", amount_minor=100, per_customer=1)
    add_endpoint(shop.other_system.url)
    shopper = Shopper(OverHttp(shop.url), typed=typed)
    caller, key = new_caller(), secrets.token_hex(16)

    sign_up(shopper, shop, typed["email"])
    shopper.add_to_cart("SKU-01", 2)
    form = shopper.open_checkout()
    bought = shopper.submit(form)
    assert bought.status == 303, bought.words
    shopper.submit(form | {"full_name": person.words["full_name"] * 2})
    by_api = buy_by_the_api(shop, person, caller, key)
    assert by_api.status == 201, by_api.body
    eventually(all_is_done, seconds=90, what="paying")
    for order in Order.objects.all():
        live_through_a_purchase(order, person, staff)
    staff_change_the_account(person, staff)
    find = {"email": typed["email"], "number": Order.objects.all()[0].number}
    path = "/orders/find/"
    shopper.web.post(path, read_form(shopper.web.get(path).text, path) | find)
    eventually(all_is_done, seconds=90, what="refunding")
    link = link_in(shop, r"/orders/link/[^\s?]+/")

    # The search finds each word where it has to be, or its silence would mean nothing.
    before = person.found_in_tables()
    assert set().union(*before.values()) == set(person.words)
    assert before.keys() > INVOICED
    code, exported = shop.manage("export_customer", typed["email"], "--json")
    assert code == 0, exported
    assert person.found_in(exported) == set(person.words)

    upper = typed["email"].upper()
    code, said = shop.manage("erase_customer", upper, "--reason", "Asked by letter", "--yes")

    assert code == 0, said
    assert person.found_in(said) == set()
    assert person.found_in_tables().keys() == INVOICED
    assert_audit_is_clean(shop)

    # A repetition finds its order, and stores nothing of what comes with it.
    again = shopper.submit(form)
    assert (again.status, again.location) == (303, bought.location)
    page = shopper.web.get(again.location)
    assert page.status == 200
    assert person.found_in(page.text) == set()
    replayed = buy_by_the_api(shop, person, caller, key)
    assert (replayed.status, replayed.json["number"]) == (201, by_api.json["number"])
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert person.found_in(replayed.body.decode()) == set()
    assert Shopper(OverHttp(shop.url)).web.get(link).status == 404
    # Nobody may sign in, and the session that was signed in is nobody's.
    assert shopper.web.get("/account/").status == 302
    assert person.found_in_tables().keys() == INVOICED
    assert_audit_is_clean(shop)

    # Other systems are told of a parcel by its number. Told again now, they hear no number.
    told_before = len(shop.other_system.received)
    bodies = bodies_told(shop, 0)
    assert person.found_in(bodies) <= {"tracking"}
    for delivery in WebhookDelivery.objects.all():
        tell_again(delivery, by="grace", why="Asked for", now=timezone.now())
    eventually(lambda: not open_deliveries().exists(), seconds=60, what="telling again")
    assert person.found_in(bodies_told(shop, told_before)) == set()

    make_invoices_old()
    assert shop.manage("prune")[0] == 0
    assert not Invoice.objects.exists()
    assert person.found_in_tables() == {}
    shop.processes.stop()
    assert "Message handled" in shop.processes.said()
    assert person.found_in_files(tmp_path, ROOT, without=NOT_OURS) == {}
