from django import template

from checkout.catalogue.money import show_money

register = template.Library()
register.filter("money", show_money)
