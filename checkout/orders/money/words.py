"""The sentences about money that a customer reads, on a page or in a mail.

Each depends on `MoneyFacts` alone. Other texts about a status say nothing of charges; these
sentences stand beside them. A test goes through every combination of facts.
"""

from collections.abc import Iterator

from django.utils.translation import gettext

from checkout.catalogue.money import money, show_money
from checkout.orders.money.facts import MoneyFacts
from checkout.orders.states import OrderStatus


def money_sentence(facts: MoneyFacts, currency: str) -> str:
    """Whether the customer was charged and what became of the money, in the active language. Empty
    while a payment is on its way to the bank, which the status says already."""
    return " ".join(_sentences(facts, currency))


def _sentences(facts: MoneyFacts, currency: str) -> Iterator[str]:
    moved, status = facts.moved, facts.status
    if facts.is_free:
        yield gettext("Nothing was to be paid, and you were not charged.")
    elif facts.is_charged:
        yield from _charged(facts, currency)
        if moved.in_doubt:
            yield gettext(
                "Of one more payment we do not know yet whether it was charged. Whatever is "
                "charged too much is sent back to you."
            )
    elif status == OrderStatus.PLACED:
        return
    elif moved.in_doubt:
        yield gettext(
            "We do not know yet whether you were charged, and are finding out. You need not do "
            "anything; you are not charged twice."
        )
    elif status == OrderStatus.AUTHORISED and moved.set_aside_minor:
        yield gettext(
            "You have not been charged yet: your bank has set {amount} aside, which is charged "
            "when we send your order."
        ).format(amount=show_money(money(moved.set_aside_minor, currency)))
    elif status == OrderStatus.PROMISED:
        yield gettext(
            "You have not been charged yet: the money is taken from your account once, within the "
            "next days."
        )
    elif status == OrderStatus.ACTION_REQUIRED and facts.customer_sends:
        yield gettext("Nothing is taken from your account: you send the money yourself.")
    elif status == OrderStatus.ACTION_REQUIRED:
        yield gettext("You are charged only if you approve it.")
    else:
        yield gettext("You have not been charged for it.")


def _charged(facts: MoneyFacts, currency: str) -> Iterator[str]:
    moved = facts.moved
    shown = {
        "charged": show_money(money(moved.charged_minor, currency)),
        "charges": moved.charges,
        "sent": show_money(money(moved.sent_back_minor, currency)),
        "going": show_money(money(moved.going_back_minor, currency)),
        "rest": show_money(money(facts.too_much_minor, currency)),
    }
    if moved.charges == 1 and moved.parcels_charged > 1:
        yield gettext("You were charged with each parcel, {charged} in all.").format(**shown)
    elif moved.charges > 1:
        yield gettext("You were charged {charges} times, {charged} in all.").format(**shown)
    else:
        yield gettext("You were charged once, {charged}.").format(**shown)
    if 0 < moved.charged_minor <= moved.sent_back_minor:
        yield gettext("All of it was sent back to you.")
    elif moved.sent_back_minor:
        yield gettext("{sent} of it was sent back to you.").format(**shown)
    if moved.going_back_minor:
        yield _going_back(facts).format(**shown)
    if moved.set_aside_minor:
        yield gettext(
            "Your bank has set {aside} more aside, which is charged when we send the rest."
        ).format(aside=show_money(money(moved.set_aside_minor, currency)))
    if facts.too_much_minor:
        yield gettext(
            "{rest} of it is more than you owe. We are looking into it, and it is sent back to you."
        ).format(**shown)


def _going_back(facts: MoneyFacts) -> str:
    moved = facts.moved
    if moved.sent_back_minor + moved.going_back_minor < moved.charged_minor:
        return gettext("{going} of it is being sent back to you.")
    if moved.sent_back_minor:
        return gettext("The rest is being sent back to you.")
    return gettext("All of it is being sent back to you.")
