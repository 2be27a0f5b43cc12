"""The client's address is what a configured proxy says, and nothing else."""

import pytest
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from checkout.visitor import client_address

PROXY = "10.0.0.7"


def address(settings: Settings, *, proxies: int, forwarded: str, remote: str = PROXY) -> str:
    settings.TRUSTED_PROXY_COUNT = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=remote))


@pytest.mark.parametrize("forwarded", ["", "198.51.100.1", "198.51.100.1, 198.51.100.2"])
def test_without_proxies_no_header_is_believed(settings: Settings, forwarded: str) -> None:
    found = address(settings, proxies=0, forwarded=forwarded, remote="203.0.113.9")

    assert found == "203.0.113.9"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "found"),
    [
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the left one was sent along
        (1, "198.51.100.1,,,203.0.113.9", "203.0.113.9"),
        (2, "203.0.113.9, 10.0.0.8", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9, 10.0.0.8", "203.0.113.9"),
        (1, "203.0.113.9:51234", "203.0.113.9"),
        (1, "[2001:db8::1]:51234", "2001:db8::/64"),
        (1, " ::ffff:203.0.113.9 ", "203.0.113.9"),
    ],
)
def test_what_our_outermost_proxy_saw_is_believed(
    settings: Settings, proxies: int, forwarded: str, found: str
) -> None:
    assert address(settings, proxies=proxies, forwarded=forwarded) == found


@pytest.mark.parametrize(
    ("proxies", "forwarded"),
    [
        (1, ""),
        (2, "203.0.113.9"),  # did not come through both
        (1, "198.51.100.1, unknown"),
        (1, "198.51.100.1, "),
        (1, "203.0.113.900"),
        (1, "203.0.113.9 OR 1=1"),
    ],
)
def test_header_that_makes_no_sense_is_not_believed(
    settings: Settings, proxies: int, forwarded: str
) -> None:
    assert address(settings, proxies=proxies, forwarded=forwarded) == PROXY


def test_addresses_of_one_ipv6_customer_are_one(settings: Settings) -> None:
    first, second, other = (
        address(settings, proxies=0, forwarded="", remote=remote)
        for remote in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")
    )

    assert first == second == "2001:db8:0:1::/64"
    assert other != first


def test_connection_without_an_address_has_none(settings: Settings) -> None:
    assert address(settings, proxies=0, forwarded="", remote="") == ""
