"""The returns of an order, on its page."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from checkout.orders.admin.lists import ReadOnlyInline
from checkout.orders.models import GoodsReturn


class ReturnInline(ReadOnlyInline):
    model = GoodsReturn
    verbose_name_plural = "returns"
    fields = ["taken_at", "taken_by", "pieces", "why"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("event")
        return rows.prefetch_related("lines__line")

    @admin.display(description="Pieces")
    def pieces(self, goods_return: GoodsReturn) -> str:
        return " · ".join(
            f"{each.quantity} × {each.line.sku}"
            + (f", {each.restocked} of them on sale again" if each.restocked else "")
            for each in goods_return.lines.all()
        )

    @admin.display(description="Why")
    def why(self, goods_return: GoodsReturn) -> str:
        return goods_return.event.explanation
