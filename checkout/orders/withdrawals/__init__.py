"""Customers withdraw from the contract: what they state, the order it belongs to, the decision."""
