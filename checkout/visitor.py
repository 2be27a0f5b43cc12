"""Who asks, and from which network address, of which only what our proxies say is believed."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

from checkout.cart import session_nonce
from checkout.orders.limits.limits import Visitor

# Some proxies add the port that the client used.
WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+):\d+")

# A provider gives a customer at least a network of this size, who may use every address in it.
IPV6_PREFIX = 64


def visitor_of(request: HttpRequest) -> Visitor:
    return Visitor.known_by(nonce=session_nonce(request.session), address=client_address(request))


def client_address(request: HttpRequest) -> str:
    """An IPv4 address, or the network of an IPv6 address; empty where the address is not known.

    Each proxy adds to the right of X-Forwarded-For the address that it was called from. So with two
    proxies of ours the second entry from the right is what the outer one saw, and everything to the
    left of that entry was sent along by the client, who may write anything there.
    """
    proxies: int = settings.TRUSTED_PROXY_COUNT
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    if 0 < proxies <= len(forwarded) and (address := _read(forwarded[-proxies])):
        return _network(address)
    address = _read(request.META.get("REMOTE_ADDR", ""))
    return _network(address) if address else ""


def client_address_or_none(request: HttpRequest) -> str | None:
    """What django-axes asks for: a single address, which it stores."""
    return client_address(request).partition("/")[0] or None


def _read(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    if with_port := WITH_PORT.fullmatch(text):
        text = with_port[1] or with_port[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), IPV6_PREFIX), strict=False))
