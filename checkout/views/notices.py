"""Why a form is shown again: what happened, were they charged, what to do next."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from checkout.catalogue.amounts import AmountRefusal, Objection
from checkout.catalogue.money import money, show_money


@dataclass(frozen=True)
class Notice:
    headline: str
    sentence: str


def amount_notice(refusal: AmountRefusal) -> Notice:
    """The total is one that no payment could ever be made of."""
    return Notice(_("This total cannot be paid"), _sentence(refusal))


def _sentence(refusal: AmountRefusal) -> str:
    def shown(amount_minor: int) -> str:
        return show_money(money(amount_minor, refusal.currency))

    total = shown(refusal.amount_minor)
    if (limits := refusal.limits) is None:
        return _(
            "This shop cannot take payments in %(currency)s, so it cannot sell anything at the "
            "moment. Nothing was ordered or charged. Please tell the shop."
        ) % {"currency": refusal.currency}
    match refusal.objection:
        case Objection.TOO_SMALL:
            return _(
                "The total is %(total)s, and the smallest amount that can be paid is %(limit)s. "
                "Nothing was ordered or charged. Put something more into your cart; what you typed "
                "here is kept until you leave this page."
            ) % {"total": total, "limit": shown(limits.smallest_minor)}
        case Objection.TOO_LARGE:
            return _(
                "The total is %(total)s, and the largest amount that can be paid is %(limit)s. "
                "Nothing was ordered or charged. Take something out of your cart and order it "
                "separately; what you typed here is kept until you leave this page."
            ) % {"total": total, "limit": shown(limits.largest_minor)}
    return _(
        "The total is %(total)s, and amounts can be paid only in steps of %(limit)s. Nothing was "
        "ordered or charged. Change your cart, or tell the shop; what you typed here is kept until "
        "you leave this page."
    ) % {"total": total, "limit": shown(limits.step_minor)}
