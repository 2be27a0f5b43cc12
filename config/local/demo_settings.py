"""The settings of `make demo`, most of which the user may set otherwise."""

import os
from collections.abc import Mapping
from pathlib import Path

from payments.sandbox import for_demo

# They hold where a setting is not set.
DEFAULTS = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "DEBUG": "false",
    "AWS_REGION": "us-east-1",
    "SHOP_NAME": "Halfmoon Stationers",
    # The administrator of the demo has no device that could give a code.
    "STAFF_SECOND_FACTOR": "false",
    "SWEEP_AFTER_SECONDS": "20",
    "SWEEP_EVERY_SECONDS": "5",
    # The page that breaks the shop sends hundreds of shoppers from one address.
    "LIMIT_PLACING": "session 20/10m",
    "LIMIT_DECLINES": "session 5/1h",
    # Marked as what it is, since it stands on every invoice of the demo.
    "SELLER_NAME": "Halfmoon Stationers GmbH (demo)",
    "SELLER_ADDRESS": "Musterstraße 12, 10115 Berlin, Germany",
    "SELLER_TAX_ID": "DE000000000",
    "SELLER_REGISTER": "No register: this is a demo",
    "SELLER_EMAIL": "books@halfmoon.example",
}
# These follow from what is started here, and win over what is set: web processes without TLS, and a
# sandbox in the gateway's place.
OWN = {"HTTPS_ONLY": "false", "SANDBOX_GATEWAY_ALLOWED": "true", **for_demo.SETTINGS}
OWN_HOSTS = ["localhost", "127.0.0.1"]

# The demo makes or starts these only where they are not set.
REPLACEABLE = ["SECRET_KEY", "SHOP_URL", "DATABASE_URL", "AWS_ENDPOINT_URL"]

# The local SQS takes any credentials, so that nobody's own are written into a file.
SQS_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}


def gathered() -> dict[str, str]:
    given = _given()
    return DEFAULTS | given | OWN | _hosts(given) | _no_proxy()


def _given() -> dict[str, str]:
    """Return the settings that are set, as values: commands in another terminal need them too."""
    given = {}
    for name in [*DEFAULTS, *REPLACEABLE, "ALLOWED_HOSTS"]:
        if path := os.environ.get(f"{name}_FILE"):
            given[name] = Path(path).read_text().strip()
        elif value := os.environ.get(name):
            given[name] = value
    return given


def _hosts(given: Mapping[str, str]) -> dict[str, str]:
    """Return the hosts that are set, and those by which the demo asks its own web processes."""
    theirs = given.get("ALLOWED_HOSTS", "").split(",")
    return {"ALLOWED_HOSTS": ",".join([*filter(None, theirs), *OWN_HOSTS])}


def _no_proxy() -> dict[str, str]:
    """Use no proxy: what the demo talks to is on this machine, which a proxy does not reach."""
    names = ["no_proxy", "NO_PROXY"]  # programs differ in which one they read
    already = [os.environ[name] for name in names if os.environ.get(name)]
    return dict.fromkeys(names, ",".join([*already, "127.0.0.1", "localhost"]))
