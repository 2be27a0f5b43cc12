"""What the forms of shoppers and staff have in common."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from checkout.user_input.card_numbers import without_card_numbers

CARD_NUMBER = _(
    "There was a card number in this field. We took it out and keep it nowhere. Please look at "
    "what is left, and send the form again."
)

# A text that is too long for its field is looked through and shown again up to this length.
LONGEST_SHOWN = 4_000

if TYPE_CHECKING:
    Form = forms.BaseForm
else:
    Form = object


class WithoutCardNumbers(Form):
    """A form that neither keeps nor shows again a card number typed into one of its texts.
    Passwords are not looked through: they are not shown, and only their digests are kept."""

    def __init__(self, *arguments: Any, **words: Any) -> None:
        super().__init__(*arguments, **words)
        self._had_card_numbers: list[str] = []
        if self.is_bound:
            self._take_out_card_numbers()

    def _take_out_card_numbers(self) -> None:
        data: Any = self.data.copy()  # type: ignore[attr-defined] # a dict, or a QueryDict
        for name, field in self.fields.items():
            typed = data.get(self.add_prefix(name))
            if not isinstance(field, forms.CharField) or not isinstance(typed, str):
                continue
            if isinstance(field.widget, forms.PasswordInput):
                continue
            if field.max_length:
                data[self.add_prefix(name)] = typed = typed[: max(LONGEST_SHOWN, field.max_length)]
            if (left := without_card_numbers(typed)) != typed:
                data[self.add_prefix(name)] = left
                self._had_card_numbers.append(name)
        self.data = data

    def full_clean(self) -> None:
        super().full_clean()
        for name in self._had_card_numbers:
            self.errors[name] = self.error_class([str(CARD_NUMBER)])
            self.cleaned_data.pop(name, None)
