from django import template

from checkout.catalogue.money import minor_units_of, show_money

register = template.Library()
register.filter("money", show_money)
register.filter("minor", minor_units_of)
