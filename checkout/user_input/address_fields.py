"""The fields of a postal address whose widgets depend on the country."""

import re
import unicodedata
from functools import lru_cache
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.renderers import BaseRenderer
from django.forms.utils import flatatt
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from checkout.user_input.addresses import region_code, regions, rules_for
from checkout.user_input.countries import country_code, country_codes, country_name
from checkout.user_input.text import LineField

# What a country calls its regions, in the library's words.
REGION_LABELS = {
    "area": _("Area"),
    "county": _("County"),
    "department": _("Department"),
    "district": _("District"),
    "do_si": _("Province or city"),
    "emirate": _("Emirate"),
    "island": _("Island"),
    "oblast": _("Region"),
    "parish": _("Parish"),
    "prefecture": _("Prefecture"),
    "province": _("Province"),
    "state": _("State"),
}

# ITU-T E.164: no number has more than fifteen digits; the shortest abroad have about five.
FEWEST_DIGITS, MOST_DIGITS = 5, 15


class CountrySelect(forms.Select):
    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        """The markup of Django, whose two templates for each of 250 countries take long, without
        what HTML can do without: quotes and end tags of the options are 3 kB."""
        chosen = f"<option value={escape(value or '') or NOTHING}"
        options = _options(tuple(self.choices)).replace(f"{chosen}>", f"{chosen} selected>", 1)
        return format_html(
            '<select name="{}"{}>{}</select>',
            name,
            flatatt(self.build_attrs(self.attrs, attrs)),
            mark_safe(options),  # noqa: S308 # was escaped
        )


NOTHING = mark_safe('""')


@lru_cache(maxsize=16)  # one for each language
def _options(choices: tuple[tuple[str, str], ...]) -> SafeString:
    """Codes are letters alone."""
    return format_html_join(
        "", "<option value={}>{}", ((code or NOTHING, name) for code, name in choices)
    )


class CountryField(forms.ChoiceField):
    def valid_value(self, value: Any) -> bool:
        """Compare codes only: Django compares all the names as well, for every form."""
        return value in country_codes()


class CountryInput(forms.TextInput):
    """The country's name to be typed, from which the page's script makes a list like the other one:
    a second list of 250 countries would make every page heavier, for few who open it."""

    def format_value(self, value: Any) -> str | None:
        typed = super().format_value(value)
        return country_name(typed) if typed in country_codes() else typed


class CountryNameField(LineField):
    """A country by its name or code. Its value is the code."""

    widget = CountryInput

    def clean(self, value: Any) -> str:
        typed = super().clean(value)
        code = country_code(typed)
        if typed and not code:
            raise ValidationError(self.error_messages["invalid_choice"], code="invalid_choice")
        return code


class RegionSelect(forms.Select):
    """The regions of one country. A region that was typed in another spelling is chosen, and one
    that the list does not have is added to it where the country can do without."""

    def __init__(self, country: str, typed: str, attrs: dict[str, Any] | None = None) -> None:
        listed = [("", _("Choose one")), *regions(country)]
        self.country = country
        if typed and not region_code(country, typed) and not is_region_required(country):
            listed.append((typed, typed))
        super().__init__(attrs, listed)

    def format_value(self, value: Any) -> list[str]:
        typed = str(value or "")
        return [region_code(self.country, typed) or typed]


def is_region_required(country: str) -> bool:
    return "region" in rules_for(country).required


class PhoneField(LineField):
    """A telephone number as people write them, of any country."""

    widget = forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "inputmode": "tel"})
    default_error_messages = {
        "invalid": _(
            "Please look at the telephone number: it has 5 to 15 digits, and only spaces and "
            "+ ( ) - / . may stand between them."
        ),
    }

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return unicodedata.normalize("NFKC", text) if isinstance(text, str) else text

    def validate(self, value: Any) -> None:
        super().validate(value)
        digits = len(re.findall(r"[0-9]", value or ""))
        is_number = re.fullmatch(r"[0-9 +()\-/.,]*", value or "")
        if value and not (is_number and FEWEST_DIGITS <= digits <= MOST_DIGITS):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
