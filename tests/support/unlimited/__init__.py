"""A gateway that takes every amount of every currency, by any method."""
