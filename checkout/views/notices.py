"""Why the checkout form is shown again: what happened, was anything charged, what to do next."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _
from moneyed import Money

from checkout.catalogue.amounts import AmountRefusal, Objection
from checkout.catalogue.models import Product
from checkout.catalogue.money import money, show_money
from checkout.models import CartLine
from checkout.quotes.quote import Quote
from checkout.tokens import CheckoutToken
from checkout.views.error_pages import wait_in_words


@dataclass(frozen=True)
class Notice:
    headline: str
    sentence: str


def token_refused() -> Notice:
    return Notice(
        _("This form does not belong to your current visit"),
        _(
            "It may have been opened before you signed out, or in another browser. Nothing was "
            "ordered or charged by sending it. If you ordered before, look at that order's page "
            "first. Otherwise check your cart and press the button again."
        ),
    )


def press_refused(headline: str, why: str) -> Notice:
    """Django's check against forged requests stopped this press."""
    kept = _(
        "Nothing was ordered or charged by this press, and everything you typed is still here: "
        "then press the button again."
    )
    return Notice(headline, f"{why} {kept}")


def page_expired() -> Notice:
    return Notice(
        _("This page was open for a long time"),
        _(
            "So we looked at your cart again. Nothing was ordered or charged yet. If everything "
            "below is right, press the button once more."
        ),
    )


def records_restored() -> Notice:
    """A backup was restored: the order that this form was for may be lost, and was perhaps paid."""
    return Notice(
        _("Look first whether you have ordered this already"),
        _(
            "We had to restore our records from a backup, and an order that you placed shortly "
            "before may be missing from them. Nothing was ordered or charged by this press. If you "
            "have an e-mail about your order, or a charge on your account, do not order again: we "
            "find such payments, and take care of each. Otherwise press the button once more."
        ),
    )


def records_were_restored() -> Notice:
    """The same on a page that is opened anew, before anything was pressed."""
    return Notice(
        _("Look first whether you have ordered this already"),
        _(
            "We had to restore our records from a backup, and an order that you placed shortly "
            "before may be missing from them. If you have an e-mail about your order, or a charge "
            "on your account, do not order again: we find such payments, and take care of each. "
            "Otherwise order as usual."
        ),
    )


def cart_changed(seen: Money, total: Money) -> Notice:
    return _not_as_seen(_("Your cart was changed in another tab"), seen, total)


def total_changed(token: CheckoutToken, quote: Quote) -> Notice:
    """Some part of the total is not what the page showed: staff changed it, or what was typed."""
    total = money(quote.total_minor, quote.currency)
    differs = list(_differing_parts(token, quote))
    headline = _("A price has changed") if differs == [_("Goods")] else _("The total has changed")
    return _not_as_seen(headline, token.total, total, differs)


def _differing_parts(token: CheckoutToken, quote: Quote) -> Iterator[str]:
    """What a form of an earlier release showed is the goods alone."""
    shown = token.shown
    was_goods = shown.goods_minor if shown else token.total_minor
    added_tax_minor = 0 if quote.prices_include_tax else quote.tax_minor
    parts = [
        (_("Goods"), was_goods, quote.goods_minor),
        (_("Discount"), shown.discount_minor if shown else 0, quote.discount_minor),
        (_("Delivery"), shown.delivery_minor if shown else 0, quote.delivery_minor),
        (_("VAT"), shown.added_tax_minor if shown else 0, added_tax_minor),
    ]
    return (name for name, was, now_is in parts if was != now_is)


def _not_as_seen(headline: str, seen: Money, total: Money, differs: Iterable[str] = ()) -> Notice:
    what = ", ".join(differs)
    sentence = _(
        "The total was %(was)s when you opened this page and is %(now_is)s now. Nothing was "
        "ordered or charged. If the new total is right, press the button once more."
    ) % {"was": show_money(seen), "now_is": show_money(total)}
    if not what:
        return Notice(headline, sentence)
    differs_in = _("What differs: %(what)s.") % {"what": what}
    return Notice(headline, f"{sentence} {differs_in}")


def article_gone(seen: Money, lines: list[CartLine], total: Money) -> Notice:
    if not lines:
        next_ = _("Your cart is empty now.")
    elif all(line.product.is_on_sale for line in lines):
        next_ = _(
            "The total was %(was)s when you opened this page and is %(now_is)s now, for what is "
            "left. If that is right, press the button once more."
        ) % {"was": show_money(seen), "now_is": show_money(total)}
    else:
        next_ = _(
            "Take the marked article out of your cart; what you typed here is kept until you leave "
            "this page."
        )
    return Notice(
        _("Something in your cart is no longer sold"),
        _("It left our shelves after you chose it. Nothing was ordered or charged.") + " " + next_,
    )


def out_of_stock(product_ids: Iterable[int]) -> Notice:
    left = ", ".join(
        (_("%(name)s: %(left)d left") if product.is_on_sale else _("%(name)s: gone"))
        % {"name": product.name, "left": product.stock}
        for product in Product.objects.filter(pk__in=product_ids)
    )
    return Notice(
        _("There is not enough left"),
        _(
            "Of what you chose less is left than you want (%(left)s). Nothing was ordered or "
            "charged. Change your cart; what you typed here is kept until you leave this page."
        )
        % {"left": left},
    )


def too_many_orders(wait_seconds: int) -> Notice:
    return Notice(
        _("Please wait before you order"),
        _(
            "We take only so many orders, and only so many declined payments, in a given time, "
            "and that number was reached. Nothing was ordered or charged by this press, and "
            "everything you typed is still here. You can press the button again %(wait)s: it is "
            "the same purchase, placed once and charged once."
        )
        % {"wait": wait_in_words(wait_seconds)},
    )


def not_stored() -> Notice:
    """The database could not be reached."""
    return Notice(
        _("We could not store your order just now"),
        _(
            "Nothing was charged by this press. Press the button again in a moment: it is the same "
            "purchase, and you cannot be charged twice for it."
        ),
    )


def total_not_payable(refusal: AmountRefusal) -> Notice:
    """The total is one that the gateway can never take."""
    return Notice(_("This total cannot be paid"), _why_not_payable(refusal))


def _why_not_payable(refusal: AmountRefusal) -> str:
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
