"""Disputes, and what of a charge a customer's bank holds or has taken."""
