"""What this gateway takes, for both of its sides."""

from checkout.catalogue.amounts import AmountLimits

LIMITS = {
    "EUR": AmountLimits(smallest_minor=50, largest_minor=99_999_999),
    "JPY": AmountLimits(smallest_minor=50, largest_minor=9_999_999_999),
    "KWD": AmountLimits(smallest_minor=10, largest_minor=99_999_990, step_minor=10),
}
