"""An order and its first outbox message, stored in one transaction."""
