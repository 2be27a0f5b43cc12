"""A shop that says who sells, and so issues invoices."""

from typing import Any

SELLER: dict[str, Any] = {
    "name": "Halfmoon Stationers GmbH",
    "address": ["12 Inkwell Lane", "10115 Berlin", "Germany"],
    "tax_id": "DE123456789",
    "register": "HRB 1234 B, Amtsgericht Charlottenburg",
    "email": "books@halfmoon.example",
}

# The same seller as a process is given it.
SELLER_ENVIRONMENT = {
    "SELLER_NAME": SELLER["name"],
    "SELLER_ADDRESS": ", ".join(SELLER["address"]),
    "SELLER_TAX_ID": SELLER["tax_id"],
    "SELLER_REGISTER": SELLER["register"],
    "SELLER_EMAIL": SELLER["email"],
}
