"""A person is erased from finished orders; what the books need stays, and so does the promise."""

import io
import json
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product, StockMovement
from checkout.catalogue.stock import restock_stock
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.attention.flags import end_reason, put_before_a_person
from checkout.orders.attention.reasons import PAID_AFTER_ERASURE
from checkout.orders.cancelling import CannotRevive, cancel_unpaid, revive
from checkout.orders.dispatch.ship import ship, undo_shipment
from checkout.orders.history import note, note_staff
from checkout.orders.mail.by_staff import correct_email, send_mail_again
from checkout.orders.mail.enqueue import queue_link, queue_mail
from checkout.orders.mail.send_again import send_again
from checkout.orders.models import AccountMail, Mail, Order, OrderEvent, Withdrawal
from checkout.orders.placing.find_order import find_order_and_similar
from checkout.orders.privacy import too_old
from checkout.orders.privacy.erase import erase_order
from checkout.orders.states import DispatchStatus, OrderStatus
from payments.models import Dispute, Payment, Refund
from payments.states import DisputeStatus, PaymentStatus, RefundStatus
from tests.support.audited import violations
from tests.support.factories import placed_order
from tests.support.finished import marked_as_sent
from tests.support.mailer import send_mails
from tests.support.shopper import Shopper
from tests.support.till import Till
from tests.support.waiting import until_somebody_waits, wait_long_for_locks

ADA = "ada@example.com"


def erase(email: str = ADA, *more: str) -> dict[str, Any]:
    """The command ends with an error where something is left, after saying what."""
    out = io.StringIO()
    arguments = ["--reason", "Asked by letter", "--by", "grace", "--yes", "--json", *more]
    with suppress(CommandError):
        call_command("erase_customer", email, *arguments, stdout=out)
    result: dict[str, Any] = json.loads(out.getvalue())
    return result


@pytest.fixture
def paid(shopper: Shopper, till: Till) -> Order:
    shopper.buy("SKU-01")
    order = Order.objects.get()
    till.settle(order)
    return marked_as_sent(order)


def test_finished_order_names_nobody_afterwards_and_keeps_what_the_books_need(paid: Order) -> None:
    before = paid

    assert erase() == {"orders": [paid.number], "kept_orders": [], "kept": []}

    after = Order.objects.get()
    emptied = ("email", "full_name", "address", "city", "postcode", "from_session", "basket_digest")
    assert {getattr(after, name) for name in emptied} == {""}
    assert (after.customer, after.billing) == (None, None)
    assert after.erased_at
    assert after.link_version == before.link_version + 1
    kept = (
        *("number", "reference", "checkout_id", "content_digest", "total_minor", "country"),
        *("payment_method", "status", "placed_at"),
    )
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    [_sent, event] = after.events.filter(kind=OrderEvent.Kind.STAFF).order_by("pk")
    told = (event.reason, event.actor, event.explanation)
    assert told == ("Personal data erased", "grace", "Asked by letter")


def test_words_of_staff_go_and_the_words_of_events_stay(paid: Order, till: Till) -> None:
    note_staff(paid.pk, "Noted", by="grace", why="Ada called", now=timezone.now())
    put_before_a_person(paid.pk, "Something", now=timezone.now())
    end_reason(paid.pk, "Something", by="grace", how="Ada was called", now=timezone.now())
    product = Product.objects.get(sku="SKU-01")
    pieces = {product.pk: 1}
    restock_stock(pieces, order_id=paid.pk, by="grace", why="From Ada", key="k1")
    payment = Payment.objects.get()
    common = {"payment": payment, "amount_minor": 1, "status": RefundStatus.SUCCEEDED}
    Refund.objects.create(**common, reason="Ada was sad", created_at=timezone.now())
    reasons = list(paid.events.order_by("pk").values_list("reason", flat=True))

    erase()

    assert [event.reason for event in paid.events.order_by("pk")][:-1] == reasons
    typed = [*paid.events.values_list("explanation", flat=True)]
    typed += [each.resolution for each in paid.attention.all()]
    typed += StockMovement.objects.values_list("explanation", flat=True)
    typed += Refund.objects.values_list("reason", flat=True)
    assert {*typed} == {"", "Asked by letter"}


def test_stock_movement_takes_no_other_change(paid: Order) -> None:
    product = Product.objects.get(sku="SKU-01")
    restock_stock({product.pk: 1}, order_id=paid.pk, by="grace", why="From Ada", key="k1")
    movement = StockMovement.objects.get(explanation="From Ada")
    row = StockMovement.objects.filter(pk=movement.pk)

    for change in ({"change": 2}, {"explanation": "Other"}, {"explanation": "", "actor": "eve"}):
        with pytest.raises(IntegrityError):
            row.update(**change)
    with pytest.raises(IntegrityError):
        StockMovement.objects.filter(order=None).update(explanation="")
    assert row.update(explanation="") == 1


def make_unfinished(order: Order, what: str) -> None:
    row, payment = Order.objects.filter(pk=order.pk), order.payments.get()
    if what in OrderStatus.values:
        row.update(status=what, sweep_at=timezone.now())
    elif what in DispatchStatus.values:
        row.update(dispatch_status=what)
    elif what in RefundStatus.values:
        money = {"amount_minor": 1, "created_at": timezone.now()}
        Refund.objects.create(payment=payment, status=what, **money)
    elif what in DisputeStatus.values:
        Dispute.objects.create(
            payment=payment, status=what, amount_minor=1, opened_at=timezone.now()
        )
    elif what in PaymentStatus.values:
        Payment.objects.filter(pk=payment.pk).update(status=what)
    elif what == "withdrawn":
        Withdrawal.objects.create(order=order, key="w", number=order.number, email=ADA)
    elif what == "about to withdraw":
        Withdrawal.objects.create(key="w", number=order.number, email=ADA.upper())
    elif what == "a person":
        put_before_a_person(order.pk, "Something", now=timezone.now())
    else:
        row.update(cancelled_by="staff", dispatch_status=DispatchStatus.CALLED_OFF)


UNFINISHED = [
    *("placed", "action_required", "payment_failed", "unsent", "partly_sent", ""),
    *("prepared", "requested", "pending", "inquiry", "needs_response", "under_review"),
    *("unknown", "processing", "withdrawn", "about to withdraw", "a person", "its money goes back"),
]


@pytest.mark.parametrize("what", UNFINISHED)
def test_order_that_is_not_finished_is_left_and_named_and_others_are_erased(
    shelf: list[Product], till: Till, what: str
) -> None:
    paid, other = (placed_order(product) for product in shelf[:2])
    for order in (paid, other):
        till.settle(order)
        marked_as_sent(order)
    make_unfinished(paid, what)

    result = erase()

    assert result["orders"] == [other.number]
    [kept] = result["kept_orders"]
    assert kept["number"] == paid.number
    assert len(kept["why"]) == 1
    paid.refresh_from_db()
    assert (paid.email, paid.full_name, paid.erased_at) == (ADA, "Ada Quillfeather", None)
    with pytest.raises(CommandError, match="Not everything was erased"):
        call_command("erase_customer", ADA, "--reason", "x", "--yes", stdout=io.StringIO())


def test_order_from_before_dispatch_was_recorded_is_finished_after_a_month(paid: Order) -> None:
    long_ago = timezone.now() - timedelta(days=31)
    not_recorded = DispatchStatus.NOT_RECORDED
    Order.objects.update(dispatch_status=not_recorded, placed_at=long_ago)

    assert erase()["orders"] == [paid.number]


@pytest.mark.parametrize("spelling", ["ADA@Example.COM", "ada@ｅxample.com", " ada@example。com "])
def test_address_is_found_in_every_spelling(paid: Order, spelling: str) -> None:
    assert erase(spelling)["orders"] == [paid.number]


def test_nothing_is_written_to_nobody(paid: Order) -> None:
    send_mails()
    sent = paid.mails.exclude(sent_at=None).first()
    assert sent
    mail.outbox.clear()
    queue_mail(Mail.Kind.LINK, note(paid.pk, "x", now=timezone.now()), now=timezone.now())

    erase()
    assert not paid.mails.filter(sent_at=None).exists()
    for email in (ADA, ""):
        assert not queue_link(paid.number, email, now=timezone.now())
    assert not send_again(sent, by="grace", why="x", now=timezone.now())
    staff: dict[str, Any] = {"by": "grace", "why": "x", "now": timezone.now()}
    with pytest.raises(ActionImpossible, match="was erased"):
        send_mail_again(paid, which="link", seen=0, **staff)
    with pytest.raises(ActionImpossible, match="was erased"):
        correct_email(paid, email="new@example.com", seen="", **staff)
    # An event that comes later queues its mail as ever, and the mailer throws it away.
    queue_mail(Mail.Kind.REFUNDED, note(paid.pk, "x", now=timezone.now()), now=timezone.now())
    send_mails()

    assert mail.outbox == []
    assert not paid.mails.filter(sent_at=None).exists()


def test_parcel_of_an_erased_order_is_not_taken_back(shopper: Shopper, till: Till) -> None:
    shopper.buy("SKU-01")
    order = Order.objects.get()
    till.settle(order)
    parcel = ship(order, None, key="k", by="grace", now=timezone.now(), tracking_number="QX1")
    erase()
    parcel.refresh_from_db()

    with pytest.raises(ActionImpossible, match="was erased"):
        undo_shipment(parcel, by="grace", why="A mistake", now=timezone.now())

    assert (parcel.tracking_number, parcel.tracking_link) == ("", "")


def test_audit_of_an_erased_order_is_clean(paid: Order) -> None:
    erase()

    assert violations() == []


def test_same_goods_from_elsewhere_do_not_lead_to_an_erased_order(
    paid: Order, elsewhere: Shopper
) -> None:
    basket_digest = paid.basket_digest
    erase()

    found = find_order_and_similar(
        paid.checkout_id.__class__(int=1),
        basket_digest=basket_digest,
        email=ADA,
        customer_id=None,
        now=timezone.now(),
    )

    assert (found.order, list(found.similar)) == (None, [])


def test_repetition_finds_its_order_and_stores_nothing_that_was_typed(
    shopper: Shopper, till: Till
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    first = shopper.submit(form)
    order = Order.objects.get()
    till.settle(order)
    marked_as_sent(order)
    erase()

    again = shopper.submit(form)
    changed = shopper.submit(form | {"full_name": "Somebody Else", "email": "new@example.com"})

    assert again.location == changed.location == first.location
    page = shopper.look(again)
    assert page.status == 200
    assert not [typed for typed in shopper.typed.values() if len(typed) > 2 and typed in page.text]
    order = Order.objects.get()
    assert order.resubmission_count == 2
    assert (order.email, order.full_name) == ("", "")


def test_late_payment_of_an_erased_order_is_sent_back(shelf: list[Product], till: Till) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    till.settle(order)
    assert cancel_unpaid(order, now=timezone.now())
    erase()
    order.refresh_from_db()
    assert order.erased_at

    with pytest.raises(CannotRevive) as cannot:
        revive(order, reason="Paid late", now=timezone.now())

    assert cannot.value.reason == PAID_AFTER_ERASURE


def test_account_names_nobody_and_lets_nobody_in(paid: Order) -> None:
    user = User.objects.create_user("ada@example.com", ADA, "a long password", first_name="Ada")
    Order.objects.update(customer=user)
    users = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(
        user=User.objects.create_user("grace", is_staff=True),
        content_type=users,
        object_id=str(user.pk),
        object_repr=ADA,
        action_flag=CHANGE,
        change_message="Ada",
    )
    AccountMail.objects.create(
        kind="password", email=ADA, stretch=timezone.now(), available_at=timezone.now()
    )

    erase()

    user.refresh_from_db()
    assert (user.username, user.email, user.first_name) == (f"erased-{user.pk}", "", "")
    assert (user.is_active, user.has_usable_password()) == (False, False)
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.change_message) == (user.username, "")
    assert not AccountMail.objects.exists()


def test_account_stays_while_an_order_is_not_finished(paid: Order) -> None:
    user = User.objects.create_user("ada@example.com", ADA, "a long password")
    Order.objects.update(customer=user, dispatch_status=DispatchStatus.UNSENT)

    result = erase()

    assert "orders that are not finished" in result["kept"][0]
    user.refresh_from_db()
    assert user.email == ADA


def test_account_of_staff_is_refused(transactional_db: None) -> None:
    User.objects.create_user("ada", ADA, "a long password", is_staff=True)

    assert "belongs to staff" in erase()["kept"][0]


def test_second_run_finds_nothing_and_an_unknown_person_neither(paid: Order) -> None:
    erase()

    for email in (ADA, "nobody@example.com"):
        with pytest.raises(CommandError, match="Nothing is stored"):
            call_command("erase_customer", email, "--reason", "x", "--yes")


def test_reason_that_names_the_person_is_refused(paid: Order) -> None:
    for reason in (f"Mail of {ADA.upper()}", "ada quillfeather called"):
        with pytest.raises(CommandError, match="names the person"):
            call_command("erase_customer", ADA, "--reason", reason, "--yes")


def test_withdrawal_of_no_order_is_emptied_once_it_is_decided(transactional_db: None) -> None:
    typed = {"number": "1-1", "email": ADA, "full_name": "Ada", "about": "All of it"}
    Withdrawal.objects.create(key="open", **typed)
    Withdrawal.objects.create(key="done", status="refused", decided_at=timezone.now(), **typed)

    assert "1 withdrawals" in erase()["kept"][0]

    done = Withdrawal.objects.get(key="done")
    assert (done.number, done.email, done.full_name, done.about) == ("", "", "", "")
    assert Withdrawal.objects.get(key="open").email == ADA


def prune(*more: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("prune", "--json", *more, stdout=out)
    result: dict[str, Any] = json.loads(out.getvalue())
    return result


def test_old_orders_are_erased_by_prune_where_a_time_is_set(
    paid: Order, settings: Settings
) -> None:
    Order.objects.update(placed_at=timezone.now() - timedelta(days=4 * 365))
    young = marked_as_sent(placed_order(Product.objects.get(sku="SKU-02")))
    Order.objects.filter(pk=young.pk).update(status=OrderStatus.REFUNDED, sweep_at=None)
    waits = placed_order(Product.objects.get(sku="SKU-03"))
    Order.objects.filter(pk=waits.pk).update(placed_at=timezone.now() - timedelta(days=4 * 365))

    assert prune()["orders_erased"] == 0  # nobody has decided
    settings.PERSONAL_DATA_YEARS = 3
    assert prune("--dry-run")["orders_erased"] == 2
    assert prune()["orders_erased"] == 1
    assert prune()["orders_erased"] == 0

    assert [order.pk for order in Order.objects.exclude(erased_at=None)] == [paid.pk]
    [_sent, event] = paid.events.filter(kind=OrderEvent.Kind.STAFF).order_by("pk")
    assert (event.actor, event.reason) == ("prune", "Personal data erased")


def test_prune_goes_past_what_is_not_finished_in_batches(
    shelf: list[Product], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(too_old, "BATCH", 2)
    settings.PERSONAL_DATA_YEARS = 3
    orders = [placed_order(shelf[0]) for _ in range(7)]
    Order.objects.update(placed_at=timezone.now() - timedelta(days=4 * 365))
    for order in (orders[3], orders[6]):
        Order.objects.filter(pk=order.pk).update(status=OrderStatus.CANCELLED, sweep_at=None)

    assert prune()["orders_erased"] == 2


def test_refund_that_is_asked_for_at_that_moment_is_waited_for(paid: Order) -> None:
    again: list[str] = []

    def erase_beside() -> None:
        wait_long_for_locks()
        again.extend(erase_order(paid.pk, by="grace", why="x", now=timezone.now()))
        connection.close()

    eraser = threading.Thread(target=erase_beside)
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=paid.pk)
        eraser.start()
        until_somebody_waits()
        make_unfinished(paid, "requested")
    eraser.join()

    assert again == ["a refund is on its way, or waits for a person to agree"]
    paid.refresh_from_db()
    assert (paid.email, paid.erased_at) == (ADA, None)


def test_old_orders_are_found_by_an_index(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    pages = [too_old.not_erased(timezone.now(), after) for after in (None, (order.placed_at, 1))]

    with connection.cursor() as cursor:
        # Whatever the planner thinks of so few rows.
        cursor.execute("SET enable_seqscan = off; SET enable_sort = off")
        plans = [page.explain() for page in pages]
        cursor.execute("RESET enable_seqscan; RESET enable_sort")

    assert all("orders_order_not_erased_idx" in plan for plan in plans), plans
