"""The workflow replaced: the request stores the order and waits for the gateway.

Nothing tells a second press from a second purchase, and a time-out says "please try again".
"""

from urllib.parse import parse_qsl

import requests

from config.local.designs.base import store_order
from config.local.designs.charging import take_payment
from config.local.designs.serving import Reply, main, order_page, serve


def check_out(body: str) -> Reply:
    order = store_order("old", dict(parse_qsl(body)))
    try:
        # The shopper is waiting, so the call is made once.
        status = take_payment(order, retries=0)
    except requests.Timeout:
        return Reply(504, "The payment took too long, please try again.")
    if status == "failed":
        return Reply(402, "Your card was declined.")
    return order_page(order.number)


if __name__ == "__main__":
    main({"web": lambda port: serve(port, {"/checkout/": check_out})})
