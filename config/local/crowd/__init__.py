"""Shoppers who press too often, and the records that are kept of them outside of the shop."""
