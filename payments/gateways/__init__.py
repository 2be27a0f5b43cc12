"""The payment gateways that come with the shop: one package each, found by its name.

A gateway's package has four modules, of which `checks` may be left out:

    settings   `read`: its settings; see `payments.gateways.settings`
    web        `WEB`: what pages and webhooks need; see `checkout.orders.ways_to_pay.web_side`
    client     `make`: the side that calls, for workers and commands; see `payments.gateways.base`
    checks     its system checks, which register themselves

One that has tables, pages of the admin or commands of its own is a Django app beside that (`apps`).
"""

# The gateway of a shop that names none.
DEFAULT_GATEWAY = "stripe"
