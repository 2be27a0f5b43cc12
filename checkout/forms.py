"""What a shopper types. The fields' names are part of the product's contract."""

from django import forms
from django.core.validators import RegexValidator

from checkout.countries import COUNTRIES

# The gateway's id of a payment method, never a card number: those have no place on this server.
payment_method_id = RegexValidator(
    r"^pm_[A-Za-z0-9_]{1,100}$", "Choose how you want to pay.", "payment_method"
)


class PaymentMethodForm(forms.Form):
    payment_method = forms.CharField(
        max_length=120,
        validators=[payment_method_id],
        error_messages={"required": "Choose how you want to pay."},
    )


class CheckoutForm(PaymentMethodForm):
    email = forms.EmailField(
        label="E-mail",
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
        error_messages={"required": "We need your e-mail address for the receipt."},
    )
    full_name = forms.CharField(
        label="Full name",
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={"required": "Who should we send it to?"},
    )
    address = forms.CharField(
        label="Address",
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "street-address"}),
        error_messages={"required": "Which street and house number?"},
    )
    city = forms.CharField(
        label="Town or city",
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "address-level2"}),
        error_messages={"required": "Which town or city?"},
    )
    postcode = forms.CharField(
        label="Postcode",
        max_length=20,
        required=False,  # some countries have none
        widget=forms.TextInput(attrs={"autocomplete": "postal-code"}),
    )
    country = forms.ChoiceField(
        label="Country",
        choices=COUNTRIES,
        widget=forms.Select(attrs={"autocomplete": "country"}),
        error_messages={"required": "Which country?", "invalid_choice": "Choose a country."},
    )


class QuantityForm(forms.Form):
    sku = forms.CharField(max_length=40)
    quantity = forms.IntegerField(min_value=0, max_value=99, required=False)


class PayAgainForm(PaymentMethodForm):
    # The round whose decline the page showed; a second press of the same page changes nothing.
    failed_round = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)
