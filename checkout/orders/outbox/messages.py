"""The format of messages on the queue.

`{"v": 1, "order": "100482-31", "reference": …, "installation": …, "kind": "settle_payment",
"generation": 1}`: no amounts and no personal data, for the message only says where to look. Readers
ignore keys they do not know, so a worker of a release before reference and installation reads the
number. A message of such a release has the number alone, and is about whatever order has it here:
all that it leads to is a question to the gateway about that order's own payments.
"""

import json
from dataclasses import dataclass

from checkout.orders.identity.matching import identity_of
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import OutboxMessage
from checkout.runtime.storable_text import is_storable

VERSION = 1

# Ours are below 300 bytes. Anything larger was not sent by this product.
MAX_BODY_BYTES = 4096


class PoisonMessage(Exception):
    """Not one of our messages. Nothing may be settled by it."""


class FutureVersion(Exception):
    """Sent by a newer release. A worker of that release will understand it."""


@dataclass(frozen=True, kw_only=True)
class OrderMessage:
    order: OrderIdentity
    kind: str
    generation: int


def encode(message: OutboxMessage) -> str:
    order = identity_of(message.order)
    body = {
        "v": VERSION,
        "order": order.number,
        "reference": order.reference,
        "installation": order.installation,
        "kind": message.kind,
        "generation": message.generation,
    }
    return json.dumps(body)


def decode(body: str) -> OrderMessage:
    if len(body.encode(errors="replace")) > MAX_BODY_BYTES:
        raise PoisonMessage("larger than any message of ours")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PoisonMessage("not JSON") from error
    if not isinstance(content, dict) or type(content.get("v")) is not int:
        raise PoisonMessage("no version")
    if content["v"] > VERSION:
        raise FutureVersion
    order, kind, generation = (content.get(key) for key in ("order", "kind", "generation"))
    if not isinstance(order, str) or not isinstance(kind, str) or type(generation) is not int:
        raise PoisonMessage("order, kind or generation is missing")
    reference, installation = (content.get(key, "") for key in ("reference", "installation"))
    if not isinstance(reference, str) or not isinstance(installation, str):
        raise PoisonMessage("reference or installation is no text")
    if bool(reference) != bool(installation):
        raise PoisonMessage("reference and installation are not both there")
    if not is_storable(order + reference + installation):
        raise PoisonMessage("a name that no database holds")
    named = OrderIdentity(number=order, reference=reference, installation=installation)
    return OrderMessage(order=named, kind=kind, generation=generation)
