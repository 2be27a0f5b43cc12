"""Where staff write the shop's texts."""

from django import forms
from django.conf import settings
from django.contrib import admin

from checkout.texts.models import ShopText
from checkout.user_input.form_fields import WithoutCardNumbers


class ShopTextForm(WithoutCardNumbers, forms.ModelForm[ShopText]):
    language = forms.ChoiceField(choices=lambda: settings.LANGUAGES)

    class Meta:
        model = ShopText
        fields = ["kind", "language", "title", "body", "is_demo"]
        widgets = {"body": forms.Textarea(attrs={"cols": 100, "rows": 30})}


@admin.register(ShopText)
class ShopTextAdmin(admin.ModelAdmin[ShopText]):
    form = ShopTextForm
    list_display = ["kind", "language", "title", "is_demo"]
    list_filter = ["language", "is_demo"]
