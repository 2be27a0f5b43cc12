import secrets

from django.conf import settings
from django.db import models
from moneyed import Money

from checkout.catalogue.money import money
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order, OrderLine, Shipment
from checkout.runtime.process_name import LONGEST_NAME
from payments.states import CaptureStatus, DisputeStatus, PaymentStatus, RefundStatus


def new_key() -> str:
    return secrets.token_urlsafe(24)


class Payment(models.Model):
    """One round of paying for an order: one card, one payment at the gateway, one set of keys.

    Amount, currency and card are copied from the order when the round begins. They never change,
    for a repeated call must be the same call.
    """

    order = models.ForeignKey(Order, models.PROTECT, related_name="payments")
    # The gateway's name, which never changes: only there is anything known of this payment. What
    # the release before this one stores has the name of the gateway that the shop had then.
    gateway = models.CharField(max_length=30, db_default="", editable=False)
    round = models.PositiveIntegerField()
    status = models.CharField(
        max_length=20, choices=PaymentStatus, default=PaymentStatus.PENDING, editable=False
    )
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    payment_method = models.CharField(max_length=120)

    # What the gateway is told with the order; it never changes either. It is empty for a round that
    # an older release began, and for a charge that was found at the gateway.
    installation = models.CharField(
        max_length=32, blank=True, default="", db_default="", editable=False
    )

    # Where the customer comes back to from their bank; it never changes either.
    return_url = models.CharField(max_length=600, blank=True, default="", db_default="")

    # Who buys, and what, as the gateway is told of it; see `settling.request`. It never changes
    # either, but that it is emptied with the customer's other data. Empty for a round that an older
    # release began.
    details = models.JSONField(null=True, blank=True, editable=False)

    # Whether the gateway is asked to have the amount set aside only, and to charge it parcel by
    # parcel as the order is sent; it never changes either.
    captures_later = models.BooleanField(default=False, db_default=False, editable=False)
    # The first is how much of an amount set aside the gateway was, or is being, asked to charge.
    # The second is how much of it is never charged, since what it was for is not sent.
    capture_minor = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    released_minor = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)

    # The key is stored before the first call; every repetition of a call goes out under it.
    idempotency_key = models.CharField(max_length=64, default=new_key, editable=False)
    # The gateway's id is stored before any money moves, so that it can always be asked by id.
    gateway_payment_id = models.CharField(max_length=120, blank=True, default="", editable=False)

    decline_code = models.CharField(max_length=60, blank=True)
    # How often an outcome was asked for in vain. This sets the pace of asking again.
    tries = models.PositiveIntegerField(default=0)

    # Until when one worker has this payment, by the database's clock. A lease saves work; it gives
    # no exclusivity.
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    # The process that has the lease, named as in ProcessAlive; empty where none has.
    lease_owner = models.CharField(
        max_length=LONGEST_NAME, blank=True, default="", db_default="", editable=False
    )

    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    # When the gateway said that this payment can never be charged any more. A later round begins
    # only after that.
    closed_at = models.DateTimeField(null=True, blank=True)
    # The amount that the gateway says it charged; empty before that.
    charged_minor = models.PositiveBigIntegerField(null=True, blank=True)
    # The charge came on top of what the order cost: by a second card, or for an order that was
    # cancelled and whose goods are gone. All of it has to go back.
    is_surplus = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["id"]
        permissions = [("resolve_outcome", "Can say what became of an unknown payment")]
        constraints = [
            models.UniqueConstraint(fields=["order", "round"], name="payments_payment_round_uniq"),
            models.UniqueConstraint(fields=["idempotency_key"], name="payments_payment_key_uniq"),
            models.UniqueConstraint(
                fields=["gateway_payment_id"],
                condition=~models.Q(gateway_payment_id=""),
                name="payments_payment_gateway_id_uniq",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=PaymentStatus.values),
                name="payments_payment_status_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(status=PaymentStatus.PAID) | ~models.Q(gateway_payment_id=""),
                name="payments_payment_paid_has_gateway_id",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    amount_minor__gte=models.F("capture_minor") + models.F("released_minor")
                ),
                name="payments_payment_captures_no_more",
            ),
        ]

    def __str__(self) -> str:
        return f"Payment {self.round}"

    @property
    def amount(self) -> Money:
        return money(self.amount_minor, self.currency)

    @property
    def identity(self) -> OrderIdentity:
        """The order as it is named to the gateway, the same in every repetition of a call."""
        if not self.installation:
            return OrderIdentity(number=self.order.number)
        return OrderIdentity(
            number=self.order.number,
            reference=self.order.reference,
            installation=self.installation,
        )

    @property
    def taken_minor(self) -> int:
        """What the gateway took: the amount, where an older release did not write it down."""
        if self.status != PaymentStatus.PAID:
            return 0
        return self.amount_minor if self.charged_minor is None else self.charged_minor

    @property
    def rest_minor(self) -> int:
        """What is neither charged nor given up of an amount that is charged when it is sent."""
        return self.amount_minor - self.capture_minor - self.released_minor

    @property
    def too_much_minor(self) -> int:
        """How much of the charge is beyond the order's price."""
        return self.taken_minor if self.is_surplus else max(0, self.taken_minor - self.amount_minor)

    @property
    def open_key(self) -> str:
        return f"{self.idempotency_key}-open"

    @property
    def confirm_key(self) -> str:
        return f"{self.idempotency_key}-confirm"

    @property
    def cancel_key(self) -> str:
        return f"{self.idempotency_key}-cancel"


class PaymentAttempt(models.Model):
    """One call to the gateway: written before it is made, completed after the answer.

    An attempt without `finished_at` is one whose process died, or that is under way.
    """

    class Step(models.TextChoices):
        OPEN = "open", "Open"
        CONFIRM = "confirm", "Confirm"
        RETRIEVE = "retrieve", "Ask"
        CANCEL = "cancel", "Cancel"
        CAPTURE = "capture", "Charge what was sent"
        REFUND = "refund", "Refund"
        REFUNDS = "refunds", "Ask for refunds"
        DISPUTES = "disputes", "Ask for disputes"

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="attempts")
    step = models.CharField(max_length=10, choices=Step)
    idempotency_key = models.CharField(max_length=80, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=30, blank=True)
    code = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_step_display()}: {self.outcome or 'no answer yet'}"


class Capture(models.Model):
    """The charge for one parcel, of an amount that the customer's bank keeps for the shop."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="captures")
    shipment = models.ForeignKey(Shipment, models.PROTECT, related_name="captures")
    status = models.CharField(
        max_length=20, choices=CaptureStatus, default=CaptureStatus.REQUESTED, editable=False
    )
    amount_minor = models.PositiveBigIntegerField()
    # No other follows, so that the bank need keep nothing any longer.
    is_last = models.BooleanField()

    # The key is stored before the first call; every repetition of the call goes out under it.
    key = models.CharField(max_length=64, default=new_key, editable=False)
    failure = models.CharField(max_length=80, blank=True)
    # How often it was sent or asked about, counted before each call. Above 0, it is asked about.
    tries = models.PositiveIntegerField(default=0)

    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["payment", "shipment"], name="payments_capture_parcel_uniq"
            ),
            models.UniqueConstraint(fields=["key"], name="payments_capture_key_uniq"),
            models.CheckConstraint(
                condition=models.Q(amount_minor__gt=0), name="payments_capture_amount_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=CaptureStatus.values),
                name="payments_capture_status_known",
            ),
        ]

    def __str__(self) -> str:
        return f"Capture {self.pk}"

    @property
    def amount(self) -> Money:
        return money(self.amount_minor, self.payment.currency)


class Refund(models.Model):
    """Money to be sent back. Its amount is reserved from the moment it is asked for."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    status = models.CharField(max_length=20, choices=RefundStatus, editable=False)
    amount_minor = models.PositiveBigIntegerField()
    # How much of it is for delivery, where it was asked for by lines.
    delivery_minor = models.PositiveBigIntegerField(default=0, db_default=0)
    # It was never charged, so that nothing is sent: the bank keeps it for the shop no longer.
    is_release = models.BooleanField(default=False, db_default=False, editable=False)
    reason = models.CharField(max_length=200)
    # Empty where the shop itself asked, or where it was made at the gateway's own site.
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )

    # The refund that came to nothing and is sent again by this one, under another key.
    replaces = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,  # only ever looked for among one payment's few refunds
        related_name="replaced_by",
    )

    # The key goes to the gateway with the refund, so that the refund is found there by it when the
    # answer was lost.
    key = models.CharField(max_length=64, default=new_key, editable=False)
    gateway_refund_id = models.CharField(max_length=120, blank=True, default="", editable=False)
    failure = models.CharField(max_length=80, blank=True)
    # How often it was sent or asked for, counted before each call. Above 0, it is looked for first.
    tries = models.PositiveIntegerField(default=0)

    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        permissions = [("request_refund", "Can send money back to a customer")]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="payments_refund_key_uniq"),
            models.UniqueConstraint(
                fields=["gateway_refund_id"],
                condition=~models.Q(gateway_refund_id=""),
                name="payments_refund_gateway_id_uniq",
            ),
            models.CheckConstraint(
                condition=models.Q(amount_minor__gt=0), name="payments_refund_amount_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=RefundStatus.values),
                name="payments_refund_status_known",
            ),
        ]

    def __str__(self) -> str:
        return f"Refund {self.pk}"

    @property
    def amount(self) -> Money:
        return money(self.amount_minor, self.payment.currency)


class RefundLine(models.Model):
    """The pieces of a line whose price a refund sends back."""

    refund = models.ForeignKey(Refund, models.PROTECT, related_name="lines")
    line = models.ForeignKey(OrderLine, models.PROTECT, related_name="+", db_index=False)
    quantity = models.PositiveIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["refund", "line"], name="payments_refundline_line_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(quantity__gt=0), name="payments_refundline_quantity_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × line {self.line_id}"


class Dispute(models.Model):
    """A customer's objection to a charge, made at their bank. The gateway tells what the bank
    decides; evidence is sent at the gateway's own site."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="disputes")
    gateway_dispute_id = models.CharField(max_length=120, editable=False)
    status = models.CharField(max_length=20, choices=DisputeStatus, editable=False)
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    # The gateway's word for why.
    reason = models.CharField(max_length=60, blank=True)
    opened_at = models.DateTimeField()
    # Until when evidence is taken.
    due_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["gateway_dispute_id"], name="payments_dispute_gateway_id_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=DisputeStatus.values),
                name="payments_dispute_status_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(closed_at__isnull=True),
                name="payments_dispute_open_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"Dispute {self.gateway_dispute_id}"

    @property
    def amount(self) -> Money:
        return money(self.amount_minor, self.currency)


class GatewayRefusal(models.Model):
    """Says since when a gateway refuses the shop itself. There is one row at most for each."""

    id = models.PositiveSmallIntegerField(primary_key=True, editable=False)
    gateway = models.CharField(max_length=30, db_default="")
    code = models.CharField(max_length=80)  # the gateway's word for why
    began_at = models.DateTimeField()
    # Empty while it lasts.
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["gateway"], name="payments_gatewayrefusal_uniq"),
        ]

    def __str__(self) -> str:
        return self.code


class LostOrder(models.Model):
    """An order that this installation placed and its database does not have, as far as something
    outside tells of it: a payment at the gateway, or a message. One row for each payment."""

    reference = models.CharField(max_length=32)
    number = models.CharField(max_length=24, blank=True)  # may belong to another order by now
    # Both are empty where only a message names the order.
    gateway = models.CharField(max_length=30, blank=True, default="", db_default="")
    gateway_payment_id = models.CharField(max_length=120, blank=True, default="")
    # The state that the gateway told last; empty where nobody has asked.
    state = models.CharField(max_length=20, blank=True, default="")
    amount_minor = models.PositiveBigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True, default="")
    # When the gateway opened the payment, as far as it tells that.
    opened_at = models.DateTimeField(null=True, blank=True)
    found_at = models.DateTimeField()

    # A person has agreed that the worker closes the payment at the gateway, and sends back what was
    # charged. The key is stored with that, before the first call. Empty: nobody has agreed.
    agreed_at = models.DateTimeField(null=True, blank=True, editable=False)
    agreed_by = models.CharField(
        max_length=150, blank=True, default="", db_default="", editable=False
    )
    agreed_why = models.TextField(max_length=1000, blank=True, default="", db_default="")
    refund_key = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )
    # How often the worker has begun, counted before each call, and when it begins again.
    tries = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    next_try_at = models.DateTimeField(null=True, blank=True, editable=False)

    # Empty while a person must look.
    seen_to_at = models.DateTimeField(null=True, blank=True)
    seen_to_by = models.CharField(max_length=150, blank=True, default="")
    seen_to_how = models.TextField(max_length=1000, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        permissions = [("see_to_lost_order", "Can say that a lost order was seen to")]
        constraints = [
            models.UniqueConstraint(
                fields=["reference", "gateway_payment_id"], name="payments_lostorder_uniq"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} ({self.reference})"

    @property
    def amount(self) -> Money | None:
        return None if self.amount_minor is None else money(self.amount_minor, self.currency)


class WebhookEvent(models.Model):
    """One event that a gateway sent. It is only a hint: the worker asks the gateway itself."""

    event_id = models.CharField(max_length=120)
    kind = models.CharField(max_length=120)
    is_about_dispute = models.BooleanField(default=False, db_default=False)
    order = models.ForeignKey(
        Order, models.PROTECT, null=True, blank=True, related_name="webhook_events"
    )
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["event_id"], name="payments_webhookevent_id_uniq")
        ]
        indexes = [
            # These are pruned: events about no order of ours.
            models.Index(
                fields=["received_at"],
                condition=models.Q(order__isnull=True),
                name="payments_webhookevent_old_idx",
            ),
        ]

    def __str__(self) -> str:
        return self.event_id
