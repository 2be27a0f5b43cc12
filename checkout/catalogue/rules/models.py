"""The tables of the rules. They are read by `read_rules`, and worked out by `quote`."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from checkout.quotes.rules import CodeKind, TaxClass, plain_percent

TAX_CLASSES = [
    (TaxClass.STANDARD.value, "Standard"),
    (TaxClass.REDUCED.value, "Reduced"),
    (TaxClass.ZERO.value, "Zero"),
]


def tax_class_field() -> "models.CharField[str, str]":
    return models.CharField(
        "tax class",
        max_length=10,
        choices=TAX_CLASSES,
        default=TaxClass.STANDARD.value,
        db_default=TaxClass.STANDARD.value,
    )


PERCENTAGE = [MinValueValidator(0), MaxValueValidator(100)]


class TaxRate(models.Model):
    """A percentage that holds from a day on, until the day of the next row of the same place and
    class."""

    country = models.CharField(max_length=2)
    region = models.CharField(
        max_length=100, blank=True, default="", help_text="Empty: everywhere else in the country."
    )
    tax_class = tax_class_field()
    percent = models.DecimalField(max_digits=6, decimal_places=3, validators=PERCENTAGE)
    holds_from = models.DateField("holds from")
    source = models.CharField(
        max_length=200, blank=True, default="", help_text="Where the rate is published, and when."
    )

    class Meta:
        ordering = ["country", "region", "tax_class", "-holds_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["country", "region", "tax_class", "holds_from"],
                name="catalogue_taxrate_day_uniq",
            ),
            models.CheckConstraint(
                condition=models.Q(percent__gte=0, percent__lte=100),
                name="catalogue_taxrate_percent_sane",
            ),
        ]

    def __str__(self) -> str:
        place = f"{self.country}-{self.region}" if self.region else self.country
        return f"{place} {self.tax_class}: {plain_percent(self.percent)} % from {self.holds_from}"


class DeliveryMethod(models.Model):
    name = models.CharField(max_length=80)
    duration = models.CharField(
        "how long it takes", max_length=80, blank=True, default="", help_text="Such as 2–3 days."
    )
    tracking_address = models.CharField(
        max_length=300,
        blank=True,
        default="",
        help_text="Where a parcel is followed; {number} stands for its tracking number.",
    )
    tax_class = tax_class_field()
    is_priced_by_weight = models.BooleanField(
        "priced by weight",
        default=False,
        help_text="Otherwise the price depends on the value of the goods after a discount.",
    )
    needs_phone = models.BooleanField(
        "asks for a telephone number", default=False, help_text="A carrier may need one."
    )
    is_on = models.BooleanField("offered", default=True)
    position = models.PositiveSmallIntegerField(
        default=0, help_text="Methods are offered in this order; the first is chosen beforehand."
    )

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class DeliveryPrice(models.Model):
    """What a method costs to one country, for goods from `at_least` on and less than `below`."""

    method = models.ForeignKey(DeliveryMethod, models.CASCADE, related_name="prices")
    country = models.CharField(
        max_length=2,
        blank=True,
        default="",
        help_text="Empty: every country without a price of its own.",
    )
    # In grams where the method is priced by weight, otherwise in minor units.
    at_least = models.PositiveBigIntegerField("from", default=0)
    below = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Empty: without an end."
    )
    price_minor = models.PositiveBigIntegerField("price")

    class Meta:
        ordering = ["country", "at_least"]
        constraints = [
            models.UniqueConstraint(
                fields=["method", "country", "at_least"],
                name="catalogue_deliveryprice_from_uniq",
                # Rows that change places in one table are equal until both are saved.
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.CheckConstraint(
                condition=models.Q(below__isnull=True) | models.Q(below__gt=models.F("at_least")),
                name="catalogue_deliveryprice_not_empty",
            ),
        ]

    def __str__(self) -> str:
        until = "" if self.below is None else f" to {self.below}"
        return f"{self.country or 'everywhere else'} from {self.at_least}{until}"


class DiscountCode(models.Model):
    class Kind(models.TextChoices):
        PERCENT = CodeKind.PERCENT.value, "A percentage of the goods"
        AMOUNT = CodeKind.AMOUNT.value, "An amount off the goods"
        FREE_DELIVERY = CodeKind.FREE_DELIVERY.value, "Free delivery"

    code = models.CharField(
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[A-Z0-9][A-Z0-9-]*$", "Capital letters, digits, hyphens.")],
    )
    kind = models.CharField("what it gives", max_length=20, choices=Kind)
    percent = models.DecimalField(
        max_digits=6, decimal_places=3, null=True, blank=True, validators=PERCENTAGE
    )
    amount_minor = models.PositiveBigIntegerField("amount", null=True, blank=True)
    least_goods_minor = models.PositiveBigIntegerField(
        "least value of the goods", default=0, db_default=0
    )
    starts_on = models.DateField("first day", null=True, blank=True)
    ends_on = models.DateField("last day", null=True, blank=True)
    limit = models.PositiveIntegerField(
        "orders in all", null=True, blank=True, help_text="Empty: as many as anybody likes."
    )
    per_customer = models.PositiveIntegerField(
        "orders of one customer", null=True, blank=True, help_text="Told by their e-mail address."
    )
    is_on = models.BooleanField("valid", default=True)
    # How many live orders have it. Changed only together with a `CodeUse`, under this row's lock.
    used = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    note = models.CharField(max_length=200, blank=True, default="", db_default="")

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="percent", percent__gt=0, percent__lte=100)
                | models.Q(kind="amount", amount_minor__gt=0)
                | models.Q(kind="free_delivery"),
                name="catalogue_discountcode_gives",
            ),
            models.CheckConstraint(
                condition=models.Q(limit__isnull=True) | models.Q(used__lte=models.F("limit")),
                name="catalogue_discountcode_within_limit",
            ),
        ]

    def __str__(self) -> str:
        return self.code
