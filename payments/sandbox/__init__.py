"""A server that speaks a part of Stripe's HTTP API and moves no money: for demo, tests and drill.

It stands alone: nothing of the shop imports it, and it imports nothing of the shop.
"""
