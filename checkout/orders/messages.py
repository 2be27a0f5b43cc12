"""The contract of what goes over the queue.

`{"v": 1, "order": "100482-61", "kind": "settle_payment", "generation": 1}`: no amounts and no
personal data, for the message only says where to look. Readers ignore keys they do not know.
"""

import json
from dataclasses import dataclass

from checkout.orders.models import OutboxMessage

VERSION = 1

# Ours are below 200 bytes. Anything larger was not sent by this product.
MAX_BODY_BYTES = 4096


class PoisonMessage(Exception):
    """Not one of our messages. Nothing may be settled by it."""


class FutureVersion(Exception):
    """Sent by a newer release. A worker of that release will understand it."""


@dataclass(frozen=True, kw_only=True)
class OrderMessage:
    order_number: str
    kind: str
    generation: int


def encode(message: OutboxMessage) -> str:
    body = {
        "v": VERSION,
        "order": message.order.number,
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
    return OrderMessage(order_number=order, kind=kind, generation=generation)
