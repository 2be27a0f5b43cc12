"""The forms in which staff type tax rates, delivery methods with their prices, and codes.

What must hold between the rows of a table is checked after the admin has put the values of others
into the fields that were not changed here, and under a lock that is held until the end of the
admin's transaction: two members of staff who save at once are checked one after the other.
"""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from checkout.catalogue.models import DeliveryMethod, DeliveryPrice, DiscountCode, TaxRate
from checkout.catalogue.rules.codes import faults_of_code
from checkout.catalogue.rules.load_rates import lock_rates, rate_row
from checkout.catalogue.rules.measures import measure_words
from checkout.catalogue.rules.tables import PriceRow, faults_of_prices, faults_of_rates
from checkout.catalogue.typed_amounts import AmountField, in_shop_currency
from checkout.user_input.countries import countries, country_name
from checkout.user_input.form_fields import WithoutCardNumbers
from checkout.user_input.whole_numbers import WholeNumberField

ELSEWHERE = "Everywhere else"

DELETED = "Somebody else deleted a row while the page was open. Open the page again."


def _countries_and_elsewhere() -> list[tuple[str, str]]:
    return [("", ELSEWHERE), *countries()[1:]]


def _place(code: str) -> str:
    return country_name(code) if code else ELSEWHERE


class CapitalsField(forms.CharField):
    """Capital letters, however they are typed."""

    def to_python(self, value: Any) -> Any:
        return (super().to_python(value) or "").upper()


class TaxRateForm(WithoutCardNumbers, forms.ModelForm[TaxRate]):
    country = forms.ChoiceField(choices=countries)
    region = CapitalsField(
        max_length=100,
        required=False,
        help_text="As the country abbreviates it, such as CA for California. Empty: everywhere "
        "else in the country.",
    )

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc] # not in its stubs
        if self.errors:
            return
        lock_rates()
        others = TaxRate.objects.filter(country=self.instance.country).exclude(pk=self.instance.pk)
        for fault in faults_of_rates([rate_row(each) for each in (*others, self.instance)]):
            self.add_error(None, fault)

    def _get_validation_exclusions(self) -> set[str]:
        """Without the unique constraint, which would name columns where the check names rows."""
        return super()._get_validation_exclusions() | {"holds_from"}  # type: ignore[misc,no-any-return] # not in its stubs


class DeliveryMethodForm(WithoutCardNumbers, forms.ModelForm[DeliveryMethod]):
    def clean_tracking_address(self) -> str:
        address: str = self.cleaned_data["tracking_address"]
        if address and not (address.startswith("https://") and "{number}" in address):
            raise ValidationError(
                "An address that begins with https:// and holds {number}, such as "
                "https://parcels.example/?id={number}."
            )
        return address


class DeliveryPriceForm(WithoutCardNumbers, forms.ModelForm[DeliveryPrice]):
    country = forms.ChoiceField(choices=_countries_and_elsewhere, required=False)
    price_minor = AmountField(label=in_shop_currency("Price in {currency}"))

    def __init__(self, *args: Any, is_by_weight: bool = False, **words: Any) -> None:
        super().__init__(*args, **words)
        of_measure = WholeNumberField if is_by_weight else AmountField
        self.fields["at_least"] = of_measure(label="From")
        self.fields["below"] = of_measure(label="Below", required=False)

    def _get_validation_exclusions(self) -> set[str]:
        """Without the constraints: `PriceTable` names rows where they would name columns, and rows
        that change places break one until all of them are saved."""
        return super()._get_validation_exclusions() | {"at_least"}  # type: ignore[misc,no-any-return] # not in its stubs


class PriceTable(forms.BaseInlineFormSet[DeliveryPrice, DeliveryMethod, DeliveryPriceForm]):
    """All prices of one method, taken only if they have neither a hole nor an overlap."""

    @property
    def is_by_weight(self) -> bool:
        return self.instance.is_priced_by_weight

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return super().get_form_kwargs(index) | {"is_by_weight": self.is_by_weight}

    def clean(self) -> None:
        # Not the base class's check for equal rows, which would name columns.
        if any("id" in errors for errors in self.errors):
            raise ValidationError(DELETED)  # its own field is hidden
        if any(self.errors):
            return
        rows = self._rows_once_saved()
        measure = measure_words(is_by_weight=self.is_by_weight)
        if faults := faults_of_prices(rows, _place, measure):
            raise ValidationError([ValidationError(fault) for fault in faults])

    def _rows_once_saved(self) -> list[PriceRow]:
        """The rows of this page, and those that somebody else added while it was open."""
        shown = [form for form in self.forms if form.instance.pk or form.has_changed()]
        kept = [form.cleaned_data for form in shown if not form.cleaned_data.get("DELETE")]
        rows = [(each["country"], each["at_least"], each["below"]) for each in kept]
        if self.instance.pk:
            DeliveryMethod.objects.select_for_update().get(pk=self.instance.pk)
            stored = DeliveryPrice.objects.filter(method=self.instance)
            others = stored.exclude(pk__in=[form.instance.pk for form in shown])
            rows += others.values_list("country", "at_least", "below")
        return [PriceRow(country=place, at_least=a, below=b) for place, a, b in rows]


class DiscountCodeForm(WithoutCardNumbers, forms.ModelForm[DiscountCode]):
    code = CapitalsField(max_length=40, help_text="What customers type, in any capitals.")
    amount_minor = AmountField(label=in_shop_currency("Amount in {currency}"), required=False)
    least_goods_minor = AmountField(
        label=in_shop_currency("Least value of the goods in {currency}"), required=False
    )

    def clean_least_goods_minor(self) -> int:
        return self.cleaned_data["least_goods_minor"] or 0

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc] # not in its stubs
        code: DiscountCode = self.instance
        if code.pk:
            # Orders count up while the page is open; the admin holds the row's lock by now.
            code.used = DiscountCode.objects.values_list("used", flat=True).get(pk=code.pk)
        if not self.errors:
            for name, fault in faults_of_code(code).items():
                self.add_error(name if name in self.fields else None, fault)

    def _get_validation_exclusions(self) -> set[str]:
        """Without the check constraints: the check above says it at its field."""
        return super()._get_validation_exclusions() | {"kind"}  # type: ignore[misc,no-any-return] # not in its stubs
