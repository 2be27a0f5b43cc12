"""The table of worked examples: each is exact in every part."""

import pytest

from tests.quotes.examples import EXAMPLES
from tests.quotes.examples.table import Example


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_quote_is_the_worked_example(example: Example) -> None:
    quoted = example.quote()

    discounts = [line.discount_minor for line in quoted.lines]
    assert discounts == (example.amounts(example.discounts) or [0] * len(quoted.lines))
    assert quoted.delivery_minor == example.minor(example.delivery)
    taxes = [(tax.percent, tax.net_minor, tax.tax_minor) for tax in quoted.taxes]
    assert taxes == example.expected_taxes()
    if example.tax_of_lines:
        assert [line.tax_minor for line in quoted.lines] == example.amounts(example.tax_of_lines)
    assert quoted.total_minor == example.minor(example.total)
    assert quoted.refusals == ((example.refused,) if example.refused else ())


def test_the_table_has_sixty_examples_of_different_names() -> None:
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES) >= 60
