"""The ways to pay as a page offers them."""

from dataclasses import dataclass

from checkout.catalogue.gateways import gateway_names
from checkout.forms import PaymentMethodForm
from checkout.orders.ways_to_pay.offers import offered
from checkout.orders.ways_to_pay.web_side import WebSide, web_side


@dataclass(frozen=True, kw_only=True)
class Way:
    gateway: str
    web: WebSide
    is_chosen: bool
    # The name of the form's field for what the gateway needs beside being chosen.
    field: str
    # What was chosen or entered there before.
    value: str

    @property
    def has_to_be_sent(self) -> bool:
        """A form that names no gateway means the shop's first."""
        return self.gateway != gateway_names()[0]


def ways_to_pay(
    form: PaymentMethodForm, *, country: str, total_minor: int | None, currency: str
) -> list[Way]:
    names = offered(country, total_minor, currency)
    chosen = form["gateway"].value() or ""
    if chosen not in names:
        chosen = names[0] if names else ""
    return [_way(form, name, is_chosen=name == chosen) for name in names]


def _way(form: PaymentMethodForm, name: str, *, is_chosen: bool) -> Way:
    is_first = name == gateway_names()[0]
    field = "payment_method" if is_first else f"{name}-payment_method"
    return Way(
        gateway=name,
        web=web_side(name),
        is_chosen=is_chosen,
        field=field,
        value=form.data.get(field, "") if form.is_bound else "",
    )
