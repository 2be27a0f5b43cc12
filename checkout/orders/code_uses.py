"""Discount codes, each counted once for an order, while that order is not cancelled.

`DiscountCode.used` and the live `CodeUse` rows change together, under the lock of the code's
row. An act that locks an order and its products as well locks the code last.
"""

import re
from decimal import Decimal

from django.db.models import F, Q
from django.utils.crypto import salted_hmac

from checkout.catalogue.models import DiscountCode
from checkout.orders.models import CodeUse, Order
from checkout.quotes import rules
from checkout.quotes.quote import Refusal

# What a stored code can look like.
WRITTEN = re.compile(r"[A-Z0-9][A-Z0-9-]{0,39}", re.ASCII)


class CodeRefused(Exception):
    """The last use of the code went to somebody else, or this customer has had theirs."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


def customer_key(email: str) -> str:
    """The same for an address in any capitals, and no way back to it. Forms give addresses in one
    spelling."""
    return salted_hmac("orders.code_uses.v1", email.casefold(), algorithm="sha256").hexdigest()


def find_code(typed: str, email: str) -> rules.DiscountCode | None:
    """The code as it stands for this customer, or for anybody while the address is not known."""
    spelling = rules.code_spelling(typed)
    if not WRITTEN.fullmatch(spelling):  # of which the database need not, or even cannot, be asked
        return None
    row = DiscountCode.objects.filter(code=spelling).first()
    if row is None:
        return None
    return rules.DiscountCode(
        code=row.code,
        kind=rules.CodeKind(row.kind),
        percent=row.percent or Decimal(0),
        amount_minor=row.amount_minor or 0,
        least_goods_minor=row.least_goods_minor,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        is_on=row.is_on,
        uses_left=None if row.limit is None else row.limit - row.used,
        customer_uses_left=_customer_uses_left(row, email),
    )


def _customer_uses_left(code: DiscountCode, email: str) -> int | None:
    if code.per_customer is None or not email:
        return code.per_customer
    uses = CodeUse.objects.filter(code=code, is_live=True, customer_key=customer_key(email))
    return code.per_customer - uses.count()


def use_code(order: Order) -> None:
    """Count the order's code. Call it inside the transaction that places the order: `CodeRefused`
    must roll that back."""
    if not order.discount_code:
        return
    code = _count(Q(code=order.discount_code), customer_key(order.email))
    CodeUse.objects.create(order=order, code=code, customer_key=customer_key(order.email))


def give_code_back(order_id: int) -> None:
    """Call it inside the transaction that cancels the order, which happens once."""
    if use := CodeUse.objects.filter(order_id=order_id, is_live=True).first():
        DiscountCode.objects.select_for_update().get(pk=use.code_id)
        if CodeUse.objects.filter(pk=use.pk, is_live=True).update(is_live=False):
            DiscountCode.objects.filter(pk=use.code_id).update(used=F("used") - 1)


def use_code_again(order_id: int) -> None:
    """Call it inside the transaction that revives a cancelled order: `CodeRefused` must roll that
    back, since somebody else may have had the last use meanwhile. Whatever else staff have changed
    of the code, its order was placed and paid by what held then."""
    if use := CodeUse.objects.filter(order_id=order_id, is_live=False).first():
        _count(Q(pk=use.code_id), use.customer_key)
        CodeUse.objects.filter(pk=use.pk).update(is_live=True)


def _count(which: Q, customer: str) -> DiscountCode:
    """Take one use under the lock of the code's row, on which all who want the code wait."""
    row = DiscountCode.objects.select_for_update().filter(which).first()
    if row is None:
        raise CodeRefused(Refusal.CODE_UNKNOWN)
    if row.per_customer is not None:
        uses = CodeUse.objects.filter(code=row, is_live=True, customer_key=customer).count()
        if uses >= row.per_customer:
            raise CodeRefused(Refusal.CODE_USED_BY_CUSTOMER)
    within_limit = Q(limit__isnull=True) | Q(used__lt=F("limit"))
    if not DiscountCode.objects.filter(within_limit, pk=row.pk).update(used=F("used") + 1):
        raise CodeRefused(Refusal.CODE_USED_UP)
    return row
