"""Admin forms beside a running shop: each field is saved by itself, and only if it was changed.

A page of the admin is open for minutes, while the shop and other people write the same row. So the
form carries every field's value as the page showed it. A field that was not changed on the page is
not written, and one that somebody else has changed meanwhile is asked about, with both values.
"""

from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.models import model_to_dict
from django.http import HttpRequest

if TYPE_CHECKING:
    Form: TypeAlias = forms.ModelForm[Any]
    Admin: TypeAlias = admin.ModelAdmin[Any]
else:
    Form = Admin = object

CHANGED_MEANWHILE = (
    "Somebody else changed this while the page was open: it was “{shown}” and is “{now}” now. "
    "Nothing was saved. Save again to make it “{typed}”."
)
GONE = "Somebody else deleted this while the page was open."


class FieldByFieldForm(Form):
    """A base class that goes before the `ModelForm` that it changes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_change = not self.instance._state.adding
        if not self.is_change:
            return
        for name, field in self.fields.items():
            field.show_hidden_initial = not field.disabled
            if self.is_bound and isinstance(field.hidden_widget(), forms.MultiWidget):
                # Otherwise Django would take what was typed for what was shown.
                self._put({self.add_initial_prefix(name): ""})

    def clean(self) -> dict[str, Any]:
        """Compare under a lock on the row, held until the end of the admin's transaction."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.is_change:
            return cleaned
        rows = self._meta.model._base_manager.select_for_update()
        current = rows.filter(pk=self.instance.pk).first()
        if current is None:
            raise ValidationError(GONE)
        now = {
            name: value.replace(microsecond=0) if isinstance(value, datetime) else value
            for name, value in model_to_dict(current, fields=[*self.fields]).items()
        }  # forms have no microseconds
        for name in now.keys() & cleaned.keys():
            if self.fields[name].disabled:
                continue
            if name not in self.changed_data:
                cleaned[name] = now[name] if self._is_many(name) else getattr(current, name)
            elif not self._is_many(name) and self._differs(name, now[name]):
                self._ask_again(name, now[name])
        return cleaned

    def _is_many(self, name: str) -> bool:
        return bool(self._meta.model._meta.get_field(name).many_to_many)

    def _differs(self, name: str, now: Any) -> bool:
        """Whether the stored value is neither what the page showed nor what was typed."""
        field, shown, typed = self.fields[name], self._shown(name), self._typed(name)
        if isinstance(now, str) and isinstance(shown, str):
            # A browser sends other line ends than it was given, and a field strips its ends.
            return _text(now) not in {_text(shown), _text(str(typed))}
        return bool(field.has_changed(now, shown) and field.has_changed(now, typed))

    def _typed(self, name: str) -> Any:
        widget = self.fields[name].widget
        return widget.value_from_datadict(self.data, self.files, self.add_prefix(name))

    def _shown(self, name: str) -> Any:
        hidden = self.fields[name].hidden_widget()
        return hidden.value_from_datadict(self.data, self.files, self.add_initial_prefix(name))

    def _ask_again(self, name: str, now: Any) -> None:
        """Put the present value into the form, so that saving it again is a decision."""
        field = self.fields[name]
        values = {
            "shown": _words(self._shown(name)),
            "now": _words(field.prepare_value(now)),
            "typed": _words(self._typed(name)),
        }
        self._show(name, now)
        self.add_error(name, CHANGED_MEANWHILE.format(**values))

    def _show(self, name: str, now: Any) -> None:
        hidden, hidden_name = self.fields[name].hidden_widget(), self.add_initial_prefix(name)
        value = self.fields[name].prepare_value(now)
        shown = {hidden_name: value}
        if isinstance(hidden, forms.MultiWidget):
            parts = hidden.decompress(value) or []
            shown = {f"{hidden_name}_{n}": part for n, part in enumerate(parts)}
        self._put({key: "" if part is None else str(part) for key, part in shown.items()})

    def _put(self, values: dict[str, str]) -> None:
        data: Any = copy(self.data)
        for key, value in values.items():
            data[key] = value
        self.data = data

    def _save_m2m(self) -> None:
        """Store only additions and removals, so that the changes of two people both stand."""
        if not self.is_change:
            super()._save_m2m()  # type: ignore[misc] # not in its stubs
            return
        many = {field.name for field in self.instance._meta.many_to_many}
        for name in many & {*self.changed_data}:
            shown = {str(value) for value in self._shown(name)}
            wanted = {str(row.pk) for row in self.cleaned_data[name]}
            relation = getattr(self.instance, name)
            relation.add(*wanted - shown)
            relation.remove(*shown - wanted)


def _text(text: str) -> str:
    return "\n".join(text.splitlines()).strip()


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return {"True": "yes", "False": "no"}.get(str(value), str(value))


class FieldByFieldAdmin(Admin):
    """A base class that goes before the `ModelAdmin` that it changes."""

    def save_model(self, request: HttpRequest, obj: models.Model, form: Any, change: bool) -> None:
        if not change:
            super().save_model(request, obj, form, change)
            return
        own = {field.name for field in obj._meta.concrete_fields}
        if changed := own & {*form.changed_data}:
            obj.save(update_fields=changed)


def field_by_field(model_admin: type[admin.ModelAdmin[Any]]) -> type[admin.ModelAdmin[Any]]:
    """The same admin with a form that writes only what was changed on the page."""
    inside = {
        "form": _field_by_field_form(model_admin.form),
        "inlines": [_inline_field_by_field(inline) for inline in model_admin.inlines],
        "__module__": model_admin.__module__,
        "__doc__": model_admin.__doc__,
    }
    return type(model_admin.__name__, (FieldByFieldAdmin, model_admin), inside)


def _field_by_field_form(form: type[forms.ModelForm[Any]]) -> type[forms.ModelForm[Any]]:
    return type(form.__name__, (FieldByFieldForm, form), {})


def _inline_field_by_field(inline: type[Any]) -> type[Any]:
    """The same for rows that are edited on the page of another; those have a form of their own."""
    if inline.form is forms.ModelForm:
        return inline
    inside = {"form": _field_by_field_form(inline.form), "__module__": inline.__module__}
    return type(inline.__name__, (inline,), inside)
