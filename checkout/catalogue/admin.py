"""Products for staff: their descriptions, and how many there are.

The page of a product saves its description field by field (config/admin/changed_fields.py). Its
stock is moved on a page of its own, by differences, since orders move it all the time.
"""

import re
import secrets
from copy import copy
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from checkout.catalogue.models import Product, StockMovement
from checkout.catalogue.money import show_money
from checkout.catalogue.rules import admin as admin_of_rules  # noqa: F401 - registers the pages
from checkout.catalogue.stock import open_stock
from checkout.catalogue.stock_changes import (
    FormUsed,
    MovedSince,
    StaffEntry,
    StockChangeRefused,
    change_stock,
    count_stock,
)
from checkout.catalogue.typed_amounts import AmountField, in_shop_currency
from checkout.user_input.form_fields import WithoutCardNumbers
from checkout.user_input.whole_numbers import WholeNumberField

MAY_MOVE_STOCK = "catalogue.move_stock"

# The page of a product shows so many movements. A list of their own has all of them.
MOVEMENTS_SHOWN = 20

# The minus sign of typesetters is taken too. Separators are not: one person's 1.000 is another's 1.
WHOLE_NUMBER = re.compile(r"([+\-\N{MINUS SIGN}]?)([0-9]{1,7})")


def new_key() -> str:
    return secrets.token_urlsafe(24)


class ProductForm(WithoutCardNumbers, forms.ModelForm[Product]):
    weight_grams = WholeNumberField(
        label="Weight in grams",
        min_value=0,
        max_value=9_999_999,
        initial=0,
        help_text="Of one piece, with its packaging. It counts where delivery is priced by weight.",
    )
    price_minor = AmountField(
        label=in_shop_currency("Price in {currency}"),
        help_text="As customers read it, such as 12.50.",
    )


class NewProductForm(ProductForm):
    pieces = WholeNumberField(
        label="Pieces in stock",
        min_value=0,
        max_value=9_999_999,
        initial=0,
        help_text="Pieces that can be sold now.",
    )

    class Meta:
        model = Product
        fields = (
            *("sku", "name", "slug", "description", "price_minor", "is_on_sale"),
            *("weight_grams", "is_delivered", "tax_class"),
        )


class StockForm(WithoutCardNumbers, forms.Form):
    """A change or a count. The form asks which, since a bare 12 could be either."""

    Kind = StockMovement.Kind

    kind = forms.ChoiceField(
        label="What happened",
        choices=[
            (Kind.RECEIVED, "Received: so many pieces came, such as 20"),
            (Kind.CORRECTED, "Corrected: pieces broke or were found, such as -1 or +3"),
            (Kind.COUNTED, "Counted: there are so many now that can be sold, such as 12"),
        ],
        widget=forms.RadioSelect,
    )
    number = forms.CharField(label="Pieces", max_length=12)
    why = forms.CharField(
        label="Reason", max_length=150, required=False, help_text="For whoever looks at it next."
    )
    # How many there were when the page was made; only a count depends on this.
    seen = WholeNumberField(widget=forms.HiddenInput)
    # Made with the page, so that the same page sent twice is one movement.
    key = forms.RegexField(r"^[\w-]{32}$", widget=forms.HiddenInput)

    def clean_number(self) -> int:
        found = WHOLE_NUMBER.fullmatch(self.cleaned_data["number"].strip())
        if not found:
            raise ValidationError("A whole number without separators, such as 1200 or -1.")
        sign, digits = found.groups()
        kind = self.cleaned_data.get("kind")
        if kind == self.Kind.COUNTED and sign:
            raise ValidationError("A count has no sign. For a change, choose “Corrected”.")
        if kind == self.Kind.CORRECTED and not sign:
            raise ValidationError(
                f"Type +{digits} or -{digits}. If there are {digits} now, choose “Counted”."
            )
        if kind == self.Kind.RECEIVED and sign not in {"", "+"}:
            raise ValidationError("What came is above zero. For less, choose “Corrected”.")
        if kind != self.Kind.COUNTED and not int(digits):
            raise ValidationError("Zero changes nothing.")
        return int(digits) if sign in {"", "+"} else -int(digits)

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if typed.get("kind") == self.Kind.CORRECTED and not typed.get("why"):
            self.add_error("why", "Why? Nothing else tells whoever looks at this next.")
        return typed

    def save(self, product: Product, by: str) -> StockMovement:
        typed = self.cleaned_data
        entry = StaffEntry(product_id=product.pk, by=by, why=typed["why"], key=typed["key"])
        if typed["kind"] == self.Kind.COUNTED:
            return count_stock(entry, counted=typed["number"], seen=typed["seen"])
        return change_stock(entry, kind=self.Kind(typed["kind"]), change=typed["number"])

    def ask_again(self, error: StockChangeRefused) -> None:
        """Show what was typed in such a way that sending it again does what the error suggests."""
        data: Any = copy(self.data)
        if isinstance(error, MovedSince):
            data["seen"] = str(error.stock)
        if isinstance(error, FormUsed):
            data["key"] = new_key()
        self.data = data
        self.add_error("number", str(error))


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin[Product]):
    form = ProductForm
    change_form_template = "catalogue/admin_product.html"
    list_display = ["sku", "name", "shown_price", "stock", "is_on_sale"]
    search_fields = ["sku", "name"]
    list_filter = ["is_on_sale"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["stock"]

    @admin.display(description="Price", ordering="price_minor")
    def shown_price(self, product: Product) -> str:
        return show_money(product.price)

    def get_form(
        self, request: HttpRequest, obj: Product | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        own = {} if obj else {"form": NewProductForm}
        return super().get_form(request, obj, change=change, **own | kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Product | None = None) -> Any:
        return super().get_readonly_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        obj.stock = form.cleaned_data["pieces"]
        super().save_model(request, obj, form, change)
        open_stock([obj.pk], by=request.user.get_username())

    def get_urls(self) -> list[URLPattern]:
        stock = self.admin_site.admin_view(self.stock_view)
        own = [path("<int:product_id>/stock/", stock, name="catalogue_product_stock")]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        product: Product | None = kwargs.get("obj")
        if product is not None:
            context["may_move_stock"] = request.user.has_perm(MAY_MOVE_STOCK)
            context["movements"] = _newest_movements(product)
        return super().render_change_form(request, context, *args, **kwargs)

    def stock_view(self, request: HttpRequest, product_id: int) -> HttpResponse:
        """Ask what happened to the stock, then store it. Only a POST changes anything."""
        user = request.user
        if not (self.has_view_permission(request) and user.has_perm(MAY_MOVE_STOCK)):
            raise PermissionDenied
        assert isinstance(user, User)  # noqa: S101 - for the type checker
        product = get_object_or_404(Product, pk=product_id)
        initial = {"seen": product.stock, "key": new_key()}
        form = StockForm(request.POST or None, initial=initial)
        if request.method == "POST" and form.is_valid():
            try:
                movement = form.save(product, user.get_username())
            except StockChangeRefused as error:
                product.refresh_from_db()
                form.ask_again(error)
            else:
                product.refresh_from_db()
                message = f"{product.sku}: {movement}. There are {product.stock} now."
                self.message_user(request, message, messages.SUCCESS)
                return redirect("admin:catalogue_product_change", product.pk)
        context = self.admin_site.each_context(request) | {
            "title": f"Stock of {product}",
            "product": product,
            "movements": _newest_movements(product),
            "form": form,
            "opts": self.opts,
        }
        return TemplateResponse(request, "catalogue/admin_stock.html", context)


def _newest_movements(product: Product) -> list[StockMovement]:
    return list(product.movements.select_related("order").order_by("-id")[:MOVEMENTS_SHOWN])
