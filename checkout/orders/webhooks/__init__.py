"""Webhooks to the shop's other systems about orders, and how an endpoint catches up."""
