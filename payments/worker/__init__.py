"""The payment worker: it receives messages, has them handled, and deletes them."""
