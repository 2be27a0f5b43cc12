"""Worked examples of `quote`, each with its source or its arithmetic.

The figures were worked out with pencil and calculator from the rule in the docstring of
`checkout/quotes/quote.py`, or they are those of the source. None was copied from what the function
answers. A fraction is written with the digits that decide its rounding.
"""

from tests.quotes.examples import codes, deliveries, places, taxes

EXAMPLES = [*taxes.EXAMPLES, *places.EXAMPLES, *codes.EXAMPLES, *deliveries.EXAMPLES]
