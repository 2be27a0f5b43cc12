"""Loaded by schemathesis: gets its requests past the door, where the document cannot say how.

Of the keys that are good, most become new ones, or nearly every request would be refused for a key
that was used; and some requests about an order are led to one that waits for another card, or where
a parcel is to be entered, for its parcel.
"""

import itertools
import os
import re
import secrets
from typing import Any

import schemathesis

GOOD_KEY = re.compile(os.environ["GOOD_KEY"])
REFERENCE = re.compile(r"[A-Za-z0-9_-]{22}")

_turn = itertools.count()
_declined = iter(os.environ["DECLINED_ORDERS"].split())
_to_send = iter(os.environ["ORDERS_TO_SEND"].split())


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """A link's body is sent as the document has it. Merged into one that was made up, its purchase
    is mostly refused for an optional field: a VAT id or a telephone number that is none."""
    for methods in raw_schema["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                for link in response.get("links", {}).values():
                    link["x-schemathesis"] = {"merge_body": False}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    key = (case.headers or {}).get("Idempotency-Key")
    if not (isinstance(key, str) and GOOD_KEY.fullmatch(key)):
        return
    turn = next(_turn)
    if turn % 4:
        case.headers["Idempotency-Key"] = secrets.token_hex(16)
    reference = (case.path_parameters or {}).get("reference")
    if turn % 3 == 0 and isinstance(reference, str) and REFERENCE.fullmatch(reference):
        waiting = _to_send if case.operation.path.endswith("/shipments/") else _declined
        case.path_parameters["reference"] = next(waiting, reference)
