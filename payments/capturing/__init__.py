"""Amounts that a customer's bank keeps for the shop, charged parcel by parcel as they are sent."""
