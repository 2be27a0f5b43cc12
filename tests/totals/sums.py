"""What must be true of the parts of every order, whatever they were worked out from."""

from fractions import Fraction

from checkout.orders.models import Order


def assert_total_is_its_parts(order: Order) -> None:
    """Columns, lines and taxes say the same."""
    lines = list(order.lines.all())
    goods = sum(line.quantity * line.unit_price_minor for line in lines)
    taxes = {tax["percent"]: tax for tax in order.taxes}
    tax = sum(each["tax_minor"] for each in taxes.values())
    added = 0 if order.prices_include_tax else tax

    assert order.total_minor == goods - order.discount_minor + order.delivery_minor + added
    assert (order.goods_minor, order.tax_minor) == (goods, tax)
    assert order.discount_minor == sum(line.discount_minor for line in lines)
    assert len(taxes) == len(order.taxes)
    of_lines = dict.fromkeys(taxes, 0)
    for line in lines:
        assert 0 <= line.discount_minor <= line.quantity * line.unit_price_minor
        if line.tax_minor:
            assert line.tax_percent
            of_lines[f"{line.tax_percent.normalize():f}"] += line.tax_minor
    for percent, each in taxes.items():
        of_delivery = each["tax_minor"] - of_lines[percent]
        assert 0 <= of_delivery <= order.delivery_minor
        exact = Fraction(each["net_minor"]) * Fraction(percent) / 100
        # A net amount inside of a price is rounded as well.
        room = Fraction(1, 2) * (1 + Fraction(percent) / 100)
        assert abs(each["tax_minor"] - exact) <= room
