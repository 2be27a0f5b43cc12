"""A part of Mollie's API without moving money, with its own page for customers.

It forgets everything with its process, and is for tests and for looking at.
"""
