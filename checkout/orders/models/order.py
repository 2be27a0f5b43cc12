import secrets

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models import Value
from django.db.models.functions import Now
from moneyed import Money

from checkout.catalogue.money import money
from checkout.orders.models.name_search import NameWords
from checkout.orders.numbers import NextOrderNumber
from checkout.orders.states import (
    LATE,
    SENDABLE,
    TO_SEND,
    UNSETTLED,
    Canceller,
    DispatchStatus,
    OrderStatus,
)
from checkout.runtime.claiming import Claimable
from checkout.runtime.trace import LENGTH, id_in, traceparent

CHECKOUT_UNIQUE = "orders_order_checkout_uniq"


def new_reference() -> str:
    """Return 128 random bits as 22 characters that a URL may hold."""
    return secrets.token_urlsafe(16)


class Order(models.Model):
    number = models.CharField(max_length=24, db_default=NextOrderNumber(), editable=False)
    reference = models.CharField(max_length=32, default=new_reference, editable=False)
    # The purchase that this order is the one result of: the unique constraint decides, no look-up.
    checkout_id = models.UUIDField(editable=False)
    # A digest of what was bought, by whom and how. By it a repetition is known to be the same.
    content_digest = models.CharField(max_length=64, editable=False)
    resubmission_count = models.PositiveIntegerField(default=0)

    status = models.CharField(max_length=20, choices=OrderStatus, default=OrderStatus.PLACED)
    total_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    # The parts of the total. Empty goods: the order is of a release before delivery and tax were
    # worked out, so its goods alone are its total.
    goods_minor = models.PositiveBigIntegerField(null=True, blank=True)
    discount_minor = models.PositiveBigIntegerField(default=0, db_default=0)
    delivery_minor = models.PositiveBigIntegerField(default=0, db_default=0)
    # The tax of all rates, contained in the other amounts if prices_include_tax, else added.
    tax_minor = models.PositiveBigIntegerField(default=0, db_default=0)
    prices_include_tax = models.BooleanField(default=True, db_default=True)
    # For each rate: {"percent": "19", "net_minor": 1000, "tax_minor": 190}.
    taxes = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    # The method, the code and their names as they were then: staff may delete or rename the rows.
    delivery_method = models.CharField(max_length=40, blank=True, default="", db_default="")
    delivery_name = models.CharField(max_length=80, blank=True, default="", db_default="")
    discount_code = models.CharField(max_length=40, blank=True, default="", db_default="")

    email = models.EmailField()
    full_name = models.CharField(max_length=200)
    address = models.CharField(max_length=300)
    city = models.CharField(max_length=120)
    postcode = models.CharField(max_length=20)
    country = models.CharField(max_length=2)
    address2 = models.CharField(max_length=300, blank=True, default="", db_default="")
    region = models.CharField(max_length=100, blank=True, default="", db_default="")
    company = models.CharField(max_length=200, blank=True, default="", db_default="")
    phone = models.CharField(max_length=40, blank=True, default="", db_default="")
    vat_id = models.CharField(max_length=20, blank=True, default="", db_default="")
    # An address of its own for the bill, by the form's names without `billing_`. Empty: there is
    # none, and the bill goes where the parcel goes.
    billing = models.JSONField(null=True, blank=True)

    # The account that was signed in when the order was placed. Empty: a guest placed it.
    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="orders"
    )
    # The language in which the customer is written to. Empty: the shop's own language.
    language = models.CharField(max_length=10, blank=True, default="", db_default="")
    # A digest of products and quantities, by which the same order from another browser is noticed.
    basket_digest = models.CharField(
        max_length=64, editable=False, blank=True, default="", db_default=""
    )
    # Keyed hashes of the session and the network address that placed the order. Declined payments
    # are counted by them, and neither can be read from them.
    from_session = models.CharField(
        max_length=32, editable=False, blank=True, default="", db_default=""
    )
    from_address = models.CharField(
        max_length=32, editable=False, blank=True, default="", db_default=""
    )

    # The gateway that takes the payment; empty: the shop's first.
    gateway = models.CharField(max_length=30, blank=True, default="", db_default="")
    # The gateway's id of the card to charge, and how many cards were tried before it.
    payment_method = models.CharField(max_length=120)
    payment_round = models.PositiveIntegerField(default=1)

    placed_at = models.DateTimeField()
    # The time from which the order has its status.
    status_changed_at = models.DateTimeField(db_default=Now())
    # When the sweep looks whether this order was forgotten. Empty: no outcome is outstanding.
    sweep_at = models.DateTimeField(null=True, blank=True)
    # When an order that waits for its customer is cancelled. Empty: it does not wait for them.
    expires_at = models.DateTimeField(null=True, blank=True)
    # Until when the customer's bank keeps the price for the shop, or what is left of it; each
    # parcel is charged when it is sent. Empty: nothing is kept there.
    authorised_until = models.DateTimeField(null=True, blank=True, editable=False)
    # What the bank keeps can be charged once only, so that everything must go in one parcel.
    goes_in_one_parcel = models.BooleanField(default=False, db_default=False, editable=False)
    # Where the customer approves the payment (3-D Secure), while their bank asks for it.
    action_url = models.CharField(max_length=2000, blank=True, default="", db_default="")
    # Who asked to have the order cancelled, or has had it cancelled. Empty: nobody, or not known.
    cancelled_by = models.CharField(
        max_length=10, choices=Canceller, blank=True, default="", db_default="", editable=False
    )
    refunded_minor = models.PositiveBigIntegerField(default=0, db_default=0)
    # The oldest open reason why a person must look, for the release before this one, which knows no
    # AttentionReason. `attention.flags` keeps it. Empty: nobody need look.
    needs_person = models.CharField(max_length=200, blank=True, default="", db_default="")

    # Worked out from the lines whenever something is sent, called off or taken back.
    dispatch_status = models.CharField(
        max_length=20,
        choices=DispatchStatus,
        blank=True,
        default=DispatchStatus.UNSENT,
        db_default=DispatchStatus.UNSENT,
        editable=False,
    )
    # A bank holds the customer's money or has taken it back, so nothing is sent meanwhile.
    is_held = models.BooleanField(default=False, db_default=False, editable=False)
    # Links in e-mails carry this number. Raising it stops the earlier ones.
    link_version = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    # When the customer's data was erased. Empty: it was not.
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

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
                condition=models.Q(dispatch_status__in=DispatchStatus.values),
                name="orders_order_dispatch_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=sorted(UNSETTLED))
                | models.Q(sweep_at__isnull=False),
                name="orders_order_unsettled_is_swept",
            ),
            # Every total is the sum of its parts.
            models.CheckConstraint(
                condition=models.Q(goods_minor__isnull=True)
                | models.Q(
                    prices_include_tax=True,
                    total_minor=models.F("goods_minor")
                    - models.F("discount_minor")
                    + models.F("delivery_minor"),
                )
                | models.Q(
                    prices_include_tax=False,
                    total_minor=models.F("goods_minor")
                    - models.F("discount_minor")
                    + models.F("delivery_minor")
                    + models.F("tax_minor"),
                ),
                name="orders_order_total_is_its_parts",
            ),
        ]
        indexes = [
            models.Index(
                fields=["sweep_at"],
                condition=models.Q(sweep_at__isnull=False),
                name="orders_order_sweep_idx",
            ),
            models.Index(models.functions.Upper("email"), name="orders_order_email_idx"),
            # With fastupdate some placing would enter what others had left in its pending list.
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
            # Support lists orders by status. Paid ones are most of all, and need no index.
            models.Index(
                fields=["status", "-id"],
                condition=~models.Q(status=OrderStatus.PAID),
                name="orders_order_not_paid_idx",
            ),
            # Staff look for the orders of one discount code, which few orders have.
            models.Index(
                fields=["discount_code", "-id"],
                condition=~models.Q(discount_code=""),
                name="orders_order_code_idx",
            ),
            # What is to be sent, the oldest first. Orders leave this index when they are sent.
            models.Index(
                fields=["id"],
                condition=models.Q(status__in=SENDABLE, dispatch_status__in=TO_SEND, is_held=False),
                name="orders_order_sendable_idx",
            ),
            # Whose customer is erased when personal data has been kept for long enough.
            models.Index(
                fields=["placed_at"],
                condition=models.Q(erased_at__isnull=True),
                name="orders_order_not_erased_idx",
            ),
            # Rows are stored in the order of their time, so a few pages tell where an hour begins.
            BrinIndex(fields=["placed_at"], autosummarize=True, name="orders_order_placed_at_idx"),
        ]
        permissions = [
            ("retry_order", "Can have the gateway asked about an order at once"),
            ("cancel_order", "Can cancel an unpaid order"),
            ("redrive_dead_letter", "Can put an order's message back into the queue"),
            ("export_orders", "Can export orders with names and addresses"),
            ("correct_email", "Can correct the e-mail address of an order"),
            ("resend_mail", "Can have an e-mail to a customer sent again"),
            ("ship_order", "Can send parcels, and take back what was marked by mistake"),
            ("take_return", "Can take in what a customer sends back"),
            ("cancel_paid_order", "Can cancel a paid order and have its money sent back"),
            ("correct_address", "Can correct the address of an order that was not sent"),
            ("add_note", "Can add a note to an order"),
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
        """Whether the order costs nothing, and so has no payment that could be sent back."""
        return self.total_minor == 0

    @property
    def is_cancelled_and_paid(self) -> bool:
        """Whether it was cancelled after it was paid, or its price set aside, and before anything
        of it was sent. Its payment status goes on telling of the money: paid until that has been
        sent back, or authorised until the bank keeps nothing any more."""
        return bool(self.cancelled_by) and self.dispatch_status == DispatchStatus.CALLED_OFF

    @property
    def traceparent(self) -> str:
        """The trace of the request that last caused a payment attempt. Empty: there was none."""
        settling = self.outbox_messages.filter(kind=OutboxMessage.Kind.SETTLE_PAYMENT)
        last = settling.exclude(traceparent="").order_by("-id").first()
        return last.traceparent if last else ""


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
    # The person who did it, by the name they sign in with. Empty: no person did it.
    actor = models.CharField(max_length=150, blank=True, default="", db_default="")
    # The person's reason, in their own words.
    explanation = models.TextField(max_length=1000, blank=True, default="", db_default="")
    # What webhooks tell of this event, as the order was then. Empty: nothing, or it is older.
    told = models.JSONField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["order"],
                condition=models.Q(
                    to_status=OrderStatus.PAID,
                    from_status__in=LATE,
                ),
                name="orders_event_paid_late_idx",
            ),
        ]

    def __str__(self) -> str:
        return self.reason


class OutboxMessage(Claimable):
    """A message that a transaction decided and that the publisher sends after it."""

    class Kind(models.TextChoices):
        SETTLE_PAYMENT = "settle_payment", "Settle the payment"
        CHECK_PAYMENT = "check_payment", "Ask the gateway about all its payments"
        REFUND = "refund", "Send money back"
        CANCEL_ORDER = "cancel_order", "Cancel it, unless it is paid"
        CAPTURE = "capture", "Charge what was sent"

    order = models.ForeignKey(Order, models.PROTECT, related_name="outbox_messages")
    kind = models.CharField(max_length=30, choices=Kind)
    # How often the message was published on purpose. SQS lets each through by its deduplication id.
    generation = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    published_at = models.DateTimeField(null=True, blank=True)
    # The trace of the request or message that caused this one. Empty: there was no trace.
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
            # Finds the oldest message of an order that waits.
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
        """An id that is unique on the queue, and not only in this database. Another installation
        has rows of the same ids, and a restored backup gives them out again."""
        return f"{self.order.reference}-{self.pk}-{self.generation}"

    @property
    def trace_id(self) -> str:
        return id_in(self.traceparent)
