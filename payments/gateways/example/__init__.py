"""A gateway in memory, for tests and for reading."""
