"""What the price depends on, as it stands in the checkout form and in its token."""

from django.conf import settings

from checkout.forms import CheckoutForm
from checkout.orders.placing.quoting import Terms
from checkout.quotes.quote import Quote
from checkout.quotes.rules import code_spelling
from checkout.tokens import ShownQuote
from checkout.user_input.countries import country_codes


def terms_of(form: CheckoutForm) -> Terms:
    """The terms of a form that was sent, be it valid or not, or of one that is shown first."""
    country = _value(form, "country").strip().upper()
    return Terms(
        country=country if country in country_codes() else settings.SHOP_COUNTRY,
        region=_value(form, "region"),
        delivery_method=_value(form, "delivery_method"),
        code=code_spelling(_value(form, "code")),
        email=_value(form, "email") if form.is_bound else "",
    )


def _value(form: CheckoutForm, name: str) -> str:
    """The checked value, else what was typed, else what the field begins with."""
    if name not in form.fields:
        return ""
    checked = getattr(form, "cleaned_data", {})
    value = checked[name] if name in checked else form[name].value()
    return str(value or "").strip()


def shown_quote(quote: Quote, terms: Terms) -> ShownQuote:
    """What the token says of a page that shows this quote."""
    return ShownQuote(
        country=terms.country,
        region=terms.region,
        delivery_method=quote.delivery.method.id if quote.delivery else "",
        code=quote.code.code if quote.code else "",
        goods_minor=quote.goods_minor,
        discount_minor=quote.discount_minor,
        delivery_minor=quote.delivery_minor,
        added_tax_minor=0 if quote.prices_include_tax else quote.tax_minor,
        digest=quote.digest,
    )
