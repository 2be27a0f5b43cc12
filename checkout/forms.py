"""The forms that shoppers fill in. The fields' names are part of the product's contract."""

from typing import Any

from django import forms
from django.contrib.auth import authenticate, password_validation
from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm, SetPasswordForm
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext_lazy as _

from checkout.catalogue.gateways import gateway_names
from checkout.models import MAX_QUANTITY
from checkout.orders.mail.address import one_spelling
from checkout.orders.numbers import parse_order_number
from checkout.orders.ways_to_pay.offers import chosen_or_first
from checkout.orders.ways_to_pay.web_side import web_side
from checkout.user_input.address_form import BILLING, PostalAddressForm
from checkout.user_input.form_fields import WithoutCardNumbers
from checkout.user_input.text import LineField
from checkout.user_input.whole_numbers import WholeNumberField

CHOOSE = _("Choose how you want to pay.")


class AddressField(forms.EmailField):
    """An e-mail address in one spelling, so that it is found again however it is typed."""

    widget = forms.EmailInput(
        attrs={
            "autocomplete": "email",
            "inputmode": "email",
            "autocapitalize": "none",
            "spellcheck": "false",
        }
    )
    default_error_messages = {
        "invalid": _("Please look at the e-mail address: something is missing in it."),
    }

    def to_python(self, value: Any) -> str:
        return one_spelling(super().to_python(value) or "")


class PaymentMethodForm(WithoutCardNumbers, forms.Form):
    """Which gateway, and what it needs to know beside that. The field of a gateway that is not the
    shop's first has the gateway's name before its own, so that several stand in one form."""

    gateway = forms.CharField(max_length=30, required=False)
    payment_method = forms.CharField(max_length=120, required=False)

    # False where nothing is to be paid: then it is not looked at.
    needs_method = True

    def clean_gateway(self) -> str:
        name = chosen_or_first(self.cleaned_data["gateway"])
        if name not in gateway_names():
            raise forms.ValidationError(CHOOSE, "gateway")
        return name

    def clean_payment_method(self) -> str:
        """It is an id of the gateway's, never a card number: those may not reach this server."""
        value: str = self.cleaned_data["payment_method"]
        gateway = self.cleaned_data.get("gateway")
        if gateway is None or not self.needs_method:
            return value
        web = web_side(gateway)
        if gateway != gateway_names()[0]:
            value = self.data.get(f"{gateway}-payment_method", "").strip()
        if not value and web.method_if_none is not None:
            return web.method_if_none
        if not value:
            raise forms.ValidationError(CHOOSE, "required")
        if len(value) > 120 or not web.method.fullmatch(value):
            raise forms.ValidationError(CHOOSE, "payment_method")
        return value


class CheckoutForm(PostalAddressForm, PaymentMethodForm):
    email = AddressField(
        label=_("E-mail"),
        max_length=254,  # RFC 3696, erratum 1690, and the column
        error_messages={"required": _("We need your e-mail address for the receipt.")},
    )
    delivery_method = forms.CharField(max_length=40, required=False)
    code = LineField(
        label=_("Discount code"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"}),
    )
    # Also the order of the list of what is wrong with the form.
    field_order = (
        *("email", "full_name", "company", "vat_id", "country", "address", "address2"),
        *("postcode", "city", "region", "phone"),
        *(f"{BILLING}{part}" for part in ("full_name", "company", "country", "address")),
        *(f"{BILLING}{part}" for part in ("address2", "postcode", "city", "region")),
        *("code", "delivery_method", "gateway", "payment_method"),
    )


class FindOrderForm(WithoutCardNumbers, forms.Form):
    number = forms.CharField(
        label=_("Order number"),
        max_length=30,
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
        error_messages={"required": _("It stands in every e-mail about your order.")},
    )
    email = AddressField(
        label=_("E-mail"),
        error_messages={"required": _("Which address did you order with?")},
    )

    def clean_number(self) -> str:
        """Only the check digits are looked at, which do not tell whether there is such an order."""
        number = parse_order_number(self.cleaned_data["number"])
        if number is None:
            raise forms.ValidationError(
                _("Please look at the number: a digit is missing or wrong.")
            )
        return number


class WithdrawalForm(WithoutCardNumbers, forms.Form):
    """What a statement must say by law. A number that is none is taken too: the customer may not
    have it at hand, and a person can look for the order."""

    number = LineField(
        label=_("Order number"),
        max_length=40,  # the column
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={
            "required": _(
                "It stands in every e-mail about your order. If you do not have it, write in a few "
                "words what you ordered."
            )
        },
    )
    full_name = LineField(
        label=_("Full name"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "name", "autocapitalize": "words"}),
        error_messages={"required": _("Who withdraws?")},
    )
    email = AddressField(
        label=_("E-mail for the confirmation"),
        max_length=254,
        error_messages={"required": _("Where should we send the confirmation?")},
    )
    about = LineField(
        label=_("Which goods, if not all of the order"),
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class SignInForm(WithoutCardNumbers, AuthenticationForm):
    error_messages = {
        "invalid_login": _(
            "There is no account with this e-mail address and password. Please look "
            "at both again; capital letters count in the password."
        ),
        "inactive": _("This account is closed."),
    }

    def __init__(self, *arguments: Any, **words: Any) -> None:
        super().__init__(*arguments, **words)
        self.fields["username"].label = "E-mail"  # or the user name of staff
        self.fields["username"].widget.attrs |= {"inputmode": "email", "autocomplete": "username"}

    def clean_username(self) -> str:
        """The name as signing up stored it, whatever a phone's keyboard has made of it."""
        typed: str = self.cleaned_data["username"].strip()
        typed = one_spelling(typed)
        return typed.lower() if "@" in typed else typed


class SignUpForm(WithoutCardNumbers, forms.Form):
    """Asks only for the address, and does not tell whether there is an account for it."""

    email = AddressField(
        label=_("E-mail"),
        max_length=150,  # it is the user name as well
        error_messages={"required": _("Which e-mail address?")},
    )


class NewAccountForm(WithoutCardNumbers, forms.Form):
    """The password of somebody who has opened the mail to this address, so that it is theirs."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": _("Choose a password.")},
    )

    def __init__(self, email: str, data: QueryDict | None = None) -> None:
        super().__init__(data)
        self.email = email

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        owner = User(username=self.email, email=self.email)
        password_validation.validate_password(password, owner)
        return password

    def save(self, request: HttpRequest) -> User | None:
        """The new account of this address, or the one that an earlier press of the same form made.
        None where it has another password. The database decides which request was first."""
        try:
            with transaction.atomic():
                return User.objects.create_user(
                    self.email, self.email, self.cleaned_data["password"]
                )
        except IntegrityError:
            user = authenticate(
                request, username=self.email, password=self.cleaned_data["password"]
            )
            return user if isinstance(user, User) else None


class ResetForm(WithoutCardNumbers, PasswordResetForm):
    email = AddressField(label=_("E-mail"), max_length=254)


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg] # not generic at run time
    def __init__(self, *arguments: Any, **words: Any) -> None:
        super().__init__(*arguments, **words)
        self.fields["new_password1"].label = _("New password")
        self.fields["new_password1"].help_text = ""
        self.fields["new_password2"].label = _("The same password again")


class QuantityForm(forms.Form):
    sku = forms.CharField(max_length=40)
    quantity = WholeNumberField(min_value=0, max_value=MAX_QUANTITY, required=False)
    # Made with the page; a page of an earlier release has none.
    press = forms.CharField(max_length=30, required=False)


class PayAgainForm(PaymentMethodForm):
    # The round whose decline the page showed, so that a second press of it changes nothing.
    failed_round = WholeNumberField(
        required=False, min_value=1, max_value=2**31 - 1, widget=forms.HiddenInput
    )
