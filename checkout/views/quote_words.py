"""A quote in a shopper's words: its parts, the methods that can be chosen, and what was refused."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from moneyed import Money

from checkout.catalogue.money import money
from checkout.orders.money.parts import Parts
from checkout.orders.placing.quoting import Terms
from checkout.quotes.quote import Quote, Refusal
from checkout.user_input.countries import country_name


@dataclass(frozen=True)
class MethodChoice:
    id: str
    name: str
    duration: str
    price: Money
    is_chosen: bool


@dataclass(frozen=True)
class QuoteWords:
    """What the checkout page shows of a quote."""

    quote: Quote
    terms: Terms
    was_asked: bool = False  # by a change of what the total depends on

    @property
    def not_delivered(self) -> str:
        """Why nothing is offered. The field of the country stands elsewhere on the page."""
        refusal = Refusal.NOT_DELIVERED_THERE
        return refusal_words(refusal, self.terms) if refusal in self.quote.refusals else ""

    @property
    def takes_codes(self) -> bool:
        return self.quote.takes_codes

    @property
    def parts(self) -> Parts:
        return Parts.of_quote(self.quote)

    @property
    def needs_phone(self) -> bool:
        return bool(self.quote.delivery and self.quote.delivery.method.needs_phone)

    @property
    def methods(self) -> list[MethodChoice]:
        return [
            MethodChoice(
                id=offer.method.id,
                name=offer.method.name,
                duration=offer.method.duration,
                price=money(offer.price_minor, self.quote.currency),
                is_chosen=offer == self.quote.delivery,
            )
            for offer in self.quote.offered
        ]


def refusal_words(refusal: Refusal, terms: Terms) -> str:
    """Why the purchase cannot be had as it was asked for, at the field that it is about."""
    match refusal:
        case Refusal.METHOD_NOT_OFFERED:
            return _("This way of delivery is not offered for your order. Please choose another.")
        case Refusal.NOT_DELIVERED_THERE:
            return _("We do not deliver these goods to this country: %(country)s.") % {
                "country": country_name(terms.country)
            }
        case Refusal.WAY_TO_PAY_NOT_OFFERED:
            return _("This way to pay is not offered for your order. Please choose another.")
        case Refusal.PHONE_MISSING:
            return _("The carrier asks for a telephone number for this way of delivery.")
        case _:
            return _code_words(refusal)


def _code_words(refusal: Refusal) -> str:
    match refusal:
        case Refusal.CODE_NOT_YET:
            return _("This code does not hold yet. Leave it out, or order later.")
        case Refusal.CODE_ENDED:
            return _("This code has ended. Please leave it out.")
        case Refusal.CODE_USED_UP:
            return _("This code has been used as often as it may be. Please leave it out.")
        case Refusal.CODE_USED_BY_CUSTOMER:
            return _("You have used this code as often as one customer may. Please leave it out.")
        case Refusal.CODE_NEEDS_MORE_GOODS:
            return _(
                "Your goods cost less than this code asks for. Add something, or leave it out."
            )
        case Refusal.CODE_TOO_MANY_TRIES:
            return _(
                "Too many codes were tried from here. Please leave it out, or try again later."
            )
        case _:
            return _("There is no such code. Please look at it again, or leave it out.")
