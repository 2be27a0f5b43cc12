"""Mollie. One call opens a payment, and its customer is sent to Mollie's own page to pay there."""
