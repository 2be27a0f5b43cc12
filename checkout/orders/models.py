import secrets
import uuid

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models.functions import Now
from moneyed import Money

import checkout.orders.attention.models
import checkout.orders.webhook_models  # noqa: F401 - tables of this app as well
from checkout.catalogue.models import Product
from checkout.catalogue.money import money
from checkout.orders.customer_names import NameWords
from checkout.orders.numbers import NextOrderNumber
from checkout.orders.states import UNSETTLED, Canceller, OrderStatus
from checkout.orders.trace import LENGTH, id_in, traceparent

CHECKOUT_UNIQUE = "orders_order_checkout_uniq"


def new_reference() -> str:
    """128 random bits in 22 characters of a URL."""
    return secrets.token_urlsafe(16)


def new_installation_id() -> str:
    return secrets.token_urlsafe(16)


class Order(models.Model):
    number = models.CharField(max_length=24, db_default=NextOrderNumber(), editable=False)
    reference = models.CharField(max_length=32, default=new_reference, editable=False)
    # The purchase this order is the one result of. Decided by the database, not by a look-up.
    checkout_id = models.UUIDField(editable=False)
    # What was bought by whom and how, as a digest: tells whether a repeat asked for the same.
    content_digest = models.CharField(max_length=64, editable=False)
    resubmission_count = models.PositiveIntegerField(default=0)

    status = models.CharField(max_length=20, choices=OrderStatus, default=OrderStatus.PLACED)
    total_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)

    email = models.EmailField()
    full_name = models.CharField(max_length=200)
    address = models.CharField(max_length=300)
    city = models.CharField(max_length=120)
    postcode = models.CharField(max_length=20)
    country = models.CharField(max_length=2)

    # Whoever was signed in when it was placed. Empty: a guest.
    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="orders"
    )
    # What its customer is written to in. Empty: the shop's own language.
    language = models.CharField(max_length=10, blank=True, default="", db_default="")
    # Products and quantities, as a digest: the same again from elsewhere is asked about.
    basket_digest = models.CharField(
        max_length=64, editable=False, blank=True, default="", db_default=""
    )
    # From which session and which network address it came, keyed so that neither can be read from
    # them: declined payments are counted by them.
    from_session = models.CharField(
        max_length=32, editable=False, blank=True, default="", db_default=""
    )
    from_address = models.CharField(
        max_length=32, editable=False, blank=True, default="", db_default=""
    )

    # The gateway's id of the card to charge, and how many cards were tried before it.
    payment_method = models.CharField(max_length=120)
    payment_round = models.PositiveIntegerField(default=1)

    placed_at = models.DateTimeField()
    # Since when it has its status.
    status_changed_at = models.DateTimeField(db_default=Now())
    # When the sweep looks whether this order was forgotten. Empty: nobody owes it anything.
    sweep_at = models.DateTimeField(null=True, blank=True)
    # When an order that waits for its customer is given up. Empty: it does not wait for them.
    expires_at = models.DateTimeField(null=True, blank=True)
    # Where the customer approves the payment (3-D Secure), while their bank asks for it.
    action_url = models.CharField(max_length=2000, blank=True, default="", db_default="")
    # Who wants it cancelled, and once it is: who had it cancelled. Empty: nobody, or nobody knows.
    cancelled_by = models.CharField(
        max_length=10, choices=Canceller, blank=True, default="", db_default="", editable=False
    )
    refunded_minor = models.PositiveBigIntegerField(default=0, db_default=0)
    # The oldest open reason why a person must look, for the release before this one, which knows no
    # AttentionReason; kept by `put_before_a_person` and `resolved`. Empty: nobody need look.
    needs_person = models.CharField(max_length=200, blank=True, default="", db_default="")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["checkout_id"], name=CHECKOUT_UNIQUE),
            models.UniqueConstraint(fields=["number"], name="orders_order_number_uniq"),
            models.UniqueConstraint(fields=["reference"], name="orders_order_reference_uniq"),
            models.CheckConstraint(
                condition=models.Q(status__in=OrderStatus.values), name="orders_order_status_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=sorted(UNSETTLED))
                | models.Q(sweep_at__isnull=False),
                name="orders_order_unsettled_is_swept",
            ),
        ]
        indexes = [
            models.Index(
                fields=["sweep_at"],
                condition=models.Q(sweep_at__isnull=False),
                name="orders_order_sweep_idx",
            ),
            models.Index(models.functions.Upper("email"), name="orders_order_email_idx"),
            # Support's search by name. Without fastupdate: no placing has to tidy up a list of what
            # others have left to be entered.
            GinIndex(NameWords("full_name"), name="orders_order_name_idx", fastupdate=False),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(expires_at__isnull=False),
                name="orders_order_expiry_idx",
            ),
            models.Index(
                fields=["id"],
                condition=~models.Q(needs_person=""),
                name="orders_order_needs_person_idx",
            ),
            # Support's lists by status. Most orders are paid, and those are the newest of all.
            models.Index(
                fields=["status", "-id"],
                condition=~models.Q(status=OrderStatus.PAID),
                name="orders_order_not_paid_idx",
            ),
            # Orders come in the order of their time, so a few pages tell where an hour begins.
            BrinIndex(fields=["placed_at"], autosummarize=True, name="orders_order_placed_at_idx"),
        ]
        permissions = [
            ("retry_order", "Can have the gateway asked about an order at once"),
            ("cancel_order", "Can cancel an unpaid order"),
            ("redrive_dead_letter", "Can put an order's message back into the queue"),
            ("export_orders", "Can export orders with names and addresses"),
            ("correct_email", "Can correct the e-mail address of an order"),
            ("resend_mail", "Can have an e-mail to a customer sent again"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def total(self) -> Money:
        return money(self.total_minor, self.currency)

    @property
    def refunded(self) -> Money:
        return money(self.refunded_minor, self.currency)

    @property
    def is_free(self) -> bool:
        """Paid without a payment, and so without anything that could be sent back."""
        return self.total_minor == 0

    @property
    def traceparent(self) -> str:
        """Of the press that had it paid last. Empty: by a release that kept none."""
        settling = self.outbox_messages.filter(kind=OutboxMessage.Kind.SETTLE_PAYMENT)
        last = settling.exclude(traceparent="").order_by("-id").first()
        return last.traceparent if last else ""


class OrderLine(models.Model):
    """What was bought, in the words and at the price of that moment."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT, related_name="+")
    sku = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    quantity = models.PositiveIntegerField()
    unit_price_minor = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "product"], name="orders_orderline_product_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(quantity__gt=0), name="orders_orderline_quantity_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"

    @property
    def total_minor(self) -> int:
        return self.quantity * self.unit_price_minor

    @property
    def total(self) -> Money:
        return money(self.total_minor, self.order.currency)


class OrderEvent(models.Model):
    class Kind(models.TextChoices):
        TRANSITION = "transition", "Status changed"
        RESUBMITTED = "resubmitted", "Same purchase sent again"
        RESUBMITTED_CHANGED = "resubmitted_changed", "Same purchase sent again, with changes"
        SWEPT = "swept", "Found waiting too long, published again"
        NOTE = "note", "Noted"
        MAILED = "mailed", "E-mail sent"
        TWIN_SEEN = "twin_seen", "Same again from elsewhere: led to this order"
        TWIN_ORDERED = "twin_ordered", "Same again from elsewhere: ordered on purpose"
        STAFF = "staff", "Done by staff"

    order = models.ForeignKey(Order, models.PROTECT, related_name="events")
    kind = models.CharField(max_length=20, choices=Kind)
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20, blank=True)
    reason = models.CharField(max_length=200)
    # Who did it, where it was a person: the name they sign in with.
    actor = models.CharField(max_length=150, blank=True, default="", db_default="")
    # Why, in their words.
    explanation = models.TextField(max_length=1000, blank=True, default="", db_default="")
    # What other systems are told of it, as the order was then. Empty: nothing, or from before this
    # was kept.
    told = models.JSONField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["order"],
                condition=models.Q(
                    to_status=OrderStatus.PAID,
                    from_status__in=[OrderStatus.PAYMENT_FAILED, OrderStatus.CANCELLED],
                ),
                name="orders_event_paid_late_idx",
            ),
        ]

    def __str__(self) -> str:
        return self.reason


class OutboxMessage(models.Model):
    """A message that was decided in a transaction and is sent after it, by the publisher."""

    class Kind(models.TextChoices):
        SETTLE_PAYMENT = "settle_payment", "Settle the payment"
        CHECK_PAYMENT = "check_payment", "Ask the gateway about all its payments"
        REFUND = "refund", "Send money back"
        CANCEL_ORDER = "cancel_order", "Cancel it, unless it is paid"

    order = models.ForeignKey(Order, models.PROTECT, related_name="outbox_messages")
    kind = models.CharField(max_length=30, choices=Kind)
    # Counts deliberate re-publications: part of the deduplication id, so SQS lets them through.
    generation = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    available_at = models.DateTimeField()
    # Until then one publisher has it in hand. By the database's clock.
    claimed_until = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    # Of the work that decided it. Empty: decided outside of any, or by a release that had none.
    traceparent = models.CharField(
        max_length=LENGTH, default=traceparent, db_default="", blank=True, editable=False
    )

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["available_at", "id"],
                condition=models.Q(published_at__isnull=True),
                name="orders_outbox_unpublished_idx",
            ),
            # Which is the oldest of its order that waits.
            models.Index(
                fields=["order", "id"],
                condition=models.Q(published_at__isnull=True),
                name="orders_outbox_oldest_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}.{self.generation}"

    @property
    def deduplication_id(self) -> str:
        """Unique on the queue, and not only in this database: another installation's rows have the
        same numbers, and after a backup was restored they are given out again."""
        return f"{self.order.reference}-{self.pk}-{self.generation}"

    @property
    def trace_id(self) -> str:
        return id_in(self.traceparent)


class SentByMailer(models.Model):
    """What the mailer's tables have in common: when a mail is due, who has it, and how it ended."""

    # The same for every copy that is sent, so that mail systems can drop the second.
    message_id = models.UUIDField(default=uuid.uuid4, editable=False)
    available_at = models.DateTimeField()
    # Until then one mailer has it in hand. By the database's clock.
    claimed_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    # When it was tried for the last time, in vain.
    gave_up_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class Mail(SentByMailer):
    """An e-mail that was decided in a transaction and is sent after it, by the mailer.

    To whom and what about is read from the order when it is sent: no copy of either is kept here.
    """

    class Kind(models.TextChoices):
        RECEIVED = "received", "Order received"
        STILL_PAYING = "still_paying", "Payment takes longer than usual"
        ACTION_REQUIRED = "action_required", "The bank waits for an approval"
        PAYMENT_FAILED = "payment_failed", "Payment failed"
        PAID = "paid", "Receipt"
        REVIVED = "revived", "Paid after it was cancelled"
        CANCELLED = "cancelled", "Order cancelled"
        SURPLUS = "surplus", "Charged too much, goes back"
        REFUNDED = "refunded", "Refund"
        REFUND_FAILED = "refund_failed", "Refund that came back"
        LINK = "link", "Link to the order"

    order = models.ForeignKey(Order, models.PROTECT, related_name="mails")
    # What it tells of. One event makes one mail at most, whoever records it again.
    event = models.ForeignKey(OrderEvent, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind)
    # Of a refund: how much was sent back by it.
    amount_minor = models.PositiveBigIntegerField(null=True, blank=True)
    # Since when it is tried, where somebody asked for it again. Empty: since its event.
    wanted_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["event"], name="orders_mail_event_uniq"),
        ]
        indexes = [
            models.Index(
                fields=["available_at", "id"],
                condition=models.Q(sent_at__isnull=True),
                name="orders_mail_unsent_idx",
            ),
            models.Index(
                fields=["order", "id"],
                condition=models.Q(sent_at__isnull=True),
                name="orders_mail_oldest_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class AccountMail(SentByMailer):
    """What somebody asked for by e-mail who has shown nothing yet, decided by a request and seen to
    after it by the mailer. Rows live for a day; see `mailing.record`."""

    class Kind(models.TextChoices):
        PASSWORD = "password", "A new password"
        SIGN_UP = "sign_up", "A new account"
        FIND_ORDER = "find_order", "The link to an order"

    kind = models.CharField(max_length=20, choices=Kind)
    email = models.EmailField()
    language = models.CharField(max_length=10, blank=True, default="")
    # The number of the order whose link is asked for.
    number = models.CharField(max_length=24, blank=True, default="")
    # Where in the shop a new account leads to. Empty: to its own page.
    then = models.CharField(max_length=300, blank=True, default="")
    # The stretch of time in which one is sent to this address.
    stretch = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "email", "number", "stretch"],
                name="orders_accountmail_stretch_uniq",
            ),
        ]
        indexes = [
            models.Index(
                fields=["available_at", "id"],
                condition=models.Q(sent_at__isnull=True),
                name="orders_accountmail_unsent_idx",
            ),
            models.Index(fields=["created_at"], name="orders_accountmail_age_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class LimitCount(models.Model):
    """How often something happened to one key (a session, a network address, the whole shop) in
    one stretch of time. Rows whose stretch is over mean nothing and are pruned."""

    key = models.CharField(max_length=80)
    window_end = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "window_end"], name="orders_limitcount_uniq"),
        ]
        indexes = [models.Index(fields=["window_end"], name="orders_limitcount_end_idx")]

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"


class PaymentsPause(models.Model):
    """Whether the gateway is left alone for now. One row, once there has been a pause."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    reason = models.CharField(max_length=200)
    paused_by = models.CharField(max_length=100)
    paused_at = models.DateTimeField()
    resumed_by = models.CharField(max_length=100, blank=True, default="", db_default="")
    # Empty: they are paused.
    resumed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="orders_paymentspause_one_row"),
        ]

    def __str__(self) -> str:
        return f"Paused by {self.paused_by}: {self.reason}"


class Installation(models.Model):
    """The name of this installation, drawn at random by a migration. One row. With an order's
    reference it names the order to the gateway and on the queue."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    installation_id = models.CharField(max_length=32, default=new_installation_id, editable=False)
    drawn_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "installation"
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="orders_installation_one_row"),
        ]

    def __str__(self) -> str:
        return self.installation_id


class ProcessAlive(models.Model):
    """When a publisher, worker, mailer or sender of webhooks last got somewhere. Old rows are of
    processes that ended; the sweep deletes them."""

    name = models.CharField(max_length=120)  # host:pid
    kind = models.CharField(max_length=20)
    began_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "kind"], name="orders_processalive_uniq"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class QueueSeen(models.Model):
    """How many messages the queues held when a worker last looked. One row: web processes have no
    right to ask SQS, and show this instead."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    waiting = models.PositiveIntegerField()
    in_hand = models.PositiveIntegerField()
    delayed = models.PositiveIntegerField()
    dead_letters = models.PositiveIntegerField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="orders_queueseen_one_row"),
        ]

    def __str__(self) -> str:
        return f"{self.waiting} waiting, {self.dead_letters} dead letters"
