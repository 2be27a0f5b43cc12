"""The request stores the order and announces it; a consumer charges whatever is announced to it.

The topic delivers at least once and in any order, which the consumer has nothing against.
"""

import os
from urllib.parse import parse_qsl

import requests

from config.local.designs.base import find_order, store_order
from config.local.designs.charging import SDK_RETRIES, take_payment
from config.local.designs.serving import Reply, main, order_page, serve

PUBLISH_TIMEOUT_SECONDS = 5.0


def check_out(body: str) -> Reply:
    order = store_order("notify", dict(parse_qsl(body)))
    # After the commit: before it, the consumer could look for an order that is not there yet.
    answer = requests.post(
        os.environ["TOPIC_URL"], data=order.number, timeout=PUBLISH_TIMEOUT_SECONDS
    )
    answer.raise_for_status()
    return order_page(order.number)


def consume(body: str) -> Reply:
    order = find_order(body)
    if order:
        take_payment(order, retries=SDK_RETRIES)
    # Also for an unknown order, which no repetition would make known.
    return Reply(200)


if __name__ == "__main__":
    main(
        {
            "web": lambda port: serve(port, {"/checkout/": check_out}),
            "consumer": lambda port: serve(port, {"/": consume}),
        }
    )
