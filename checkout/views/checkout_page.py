"""The checkout page: the form, the cart that it is for, and a token that says what is shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from moneyed import Money

from checkout.cart import cart_lines, session_cart, session_nonce
from checkout.catalogue.amounts import refusal_of
from checkout.catalogue.money import money
from checkout.forms import CheckoutForm
from checkout.models import Cart, CartLine
from checkout.orders.placing.purchase import basket_digest
from checkout.orders.placing.quoting import Terms, work_out
from checkout.orders.restoring.restores import is_from_before_a_restore
from checkout.quotes.quote import Quote, Refusal
from checkout.tokens import CheckoutToken, TokenRefused, issue_token, read_token
from checkout.views.notices import Notice, total_not_payable
from checkout.views.quote_words import QuoteWords, refusal_words
from checkout.views.terms import shown_quote, terms_of
from checkout.views.ways_to_pay import Way, ways_to_pay
from checkout.visitor import visitor_of


@dataclass(frozen=True)
class Question:
    """Whether another order like this one is wanted."""

    answer: str  # what the form sends back if it is
    placed_at: datetime | None  # None for somebody who has not shown that it is their order


@dataclass
class CheckoutPage:
    """The page as one request sends and is shown it. The session's cart is read when it is needed
    first, so a request to place an order reads it only after placing was refused."""

    request: HttpRequest
    form: CheckoutForm
    now: datetime

    @cached_property
    def cart(self) -> Cart | None:
        return session_cart(self.request.session)

    @cached_property
    def lines(self) -> list[CartLine]:
        return cart_lines(self.cart)

    @cached_property
    def terms(self) -> Terms:
        """What the price depends on, as it was typed, or as it is known before anything was."""
        return terms_of(self.form)

    @cached_property
    def quote(self) -> Quote:
        lines = [line.product.quoted_line(line.quantity) for line in self.lines]
        return work_out(lines, self.terms, now=self.now, visitor=visitor_of(self.request))

    @property
    def total(self) -> Money:
        return money(self.quote.total_minor, settings.SHOP_CURRENCY)

    def read_token(self) -> CheckoutToken:
        """Raises `TokenRefused`."""
        return read_token(self._sent_token, nonce=session_nonce(self.request.session))

    @property
    def _sent_token(self) -> str:
        return self.request.POST.get("token", "")

    def show(
        self,
        notice: Notice | None = None,
        *,
        status: int = 200,
        keeps_token: bool = False,
        question: Question | None = None,
        template: str = "checkout/checkout.html",
        is_total_asked: bool = False,
    ) -> HttpResponse:
        """The form with the session's cart as it is now. With `keeps_token` the token that was sent
        goes back into the form, unless the page shows something else by now."""
        self._add_refusals(self.quote.refusals)
        if notice is None and (
            refusal := refusal_of(self.quote.total_minor, settings.SHOP_CURRENCY)
        ):
            notice = total_not_payable(refusal)  # said before anything is typed
        context = {
            "total": self.total,
            "ways": self._ways(self.quote.total_minor),
            "quote": QuoteWords(self.quote, self.terms, was_asked=is_total_asked),
            "notice": notice,
            "question": question,
            "token": self._sent_token
            if is_total_asked and self._is_from_before_a_restore()
            else self._token(keeps_sent=keeps_token),
            "signed_in_as": self.request.user.get_username(),
        }
        return self._render(self.lines, context, status=status, template=template)

    def show_refused(self, refusals: Iterable[Refusal]) -> HttpResponse:
        """The form with the reasons why the purchase cannot be had, each at its field."""
        refusals = list(refusals)
        self._add_refusals(refusals)
        if any(refusal.field == "code" for refusal in refusals):
            # The press has tried it, and counted it if it was wrong: it is not tried once more.
            self.terms = replace(self.terms, code="")
        return self.show(status=422)

    def show_total(self, template: str) -> HttpResponse:
        """The page for what was typed so far, which writes nothing. An empty field is no mistake
        yet."""
        self.form.is_valid()
        for name in list(self.form.errors):
            if not self.form.data.get(name, "").strip():
                del self.form.errors[name]
        return self.show(template=template, is_total_asked=True)

    def _add_refusals(self, refusals: Iterable[Refusal]) -> None:
        if self.form.is_bound and hasattr(self.form, "cleaned_data"):
            for refusal in refusals:
                if refusal.field not in self.form.errors:
                    self.form.add_error(refusal.field, refusal_words(refusal, self.terms))

    def show_without_database(self, notice: Notice) -> HttpResponse:
        """The form and its token without the cart: sending it again is the same purchase."""
        context = {
            "total": money(0, settings.SHOP_CURRENCY),
            "notice": notice,
            "ways": self._ways(None),
            "token": self._sent_token,
            "without_database": True,
        }
        return self._render([], context, status=503, template="checkout/checkout.html")

    def _render(
        self,
        lines: list[CartLine],
        context: Mapping[str, object],
        *,
        status: int,
        template: str,
    ) -> HttpResponse:
        everywhere = {
            "form": self.form,
            "lines": lines,
            "can_place": bool(lines) and all(line.is_available for line in lines),
            "has_reference": status in {429, 503},
        }
        return render(self.request, template, everywhere | dict(context), status=status)

    def _ways(self, total_minor: int | None) -> list[Way]:
        country, currency = self.terms.country, settings.SHOP_CURRENCY
        return ways_to_pay(self.form, country=country, total_minor=total_minor, currency=currency)

    def _token(self, *, keeps_sent: bool) -> str:
        sent = self._sent_token if keeps_sent else ""
        nonce = session_nonce(self.request.session)
        if self.cart is None or not self.lines or (keeps_sent and self._still_holds(self.cart)):
            return sent
        return issue_token(nonce=nonce, now=self.now, **self._shown(self.cart)) if nonce else ""

    def _is_from_before_a_restore(self) -> bool:
        """Whether a backup was restored since the form was shown. Its press asks the shopper to
        look first, so a question about the total must not make a new form of it."""
        try:
            return is_from_before_a_restore(self.read_token().issued_at)
        except TokenRefused:
            return False

    def _still_holds(self, cart: Cart) -> bool:
        """Whether the token that was sent may go back into the form. One of this cart that showed
        another total may not: should the price return, the total of a page that is gone would be
        charged. A fresh token is for the same cart, so it is the same purchase."""
        try:
            sent = self.read_token()
        except TokenRefused:
            return True
        shown = self._shown(cart)
        del shown["shown"]  # parts that differ within the same total stop nobody
        shows_the_same = all(getattr(sent, key) == now for key, now in shown.items())
        return sent.checkout_id != cart.pk or shows_the_same

    def _shown(self, cart: Cart) -> dict[str, Any]:
        """What a token says of the page."""
        return {
            "checkout_id": cart.pk,
            "cart_version": cart.version,
            "total_minor": self.quote.total_minor,
            "currency": settings.SHOP_CURRENCY,
            "shown": shown_quote(self.quote, self.terms),
            "basket_digest": basket_digest((line.product_id, line.quantity) for line in self.lines),
        }
