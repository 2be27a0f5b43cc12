"""Which payment gateways the shop has. Each gateway's own package reads its settings."""

import re
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from config.environment import Environment, refuse
from payments.gateways.settings import GatewaySettings

# The gateways that come with the shop, which need no package to be named.
OWN = "payments.gateways"


def gateway_packages(env: Environment, default: str) -> dict[str, str]:
    """The packages by the gateways' names: `name` for one of the shop's own, `name=package` for
    another, separated by commas."""
    if env.text("PAYMENT_GATEWAY"):
        refuse(
            "PAYMENT_GATEWAY",
            "is not read any more. Name the gateways in PAYMENT_GATEWAYS: name=package.",
        )
    packages = {}
    for item in env.listed("PAYMENT_GATEWAYS") or [default]:
        name, _, package = item.partition("=")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,29}", name):
            refuse(
                "PAYMENT_GATEWAYS",
                "holds names of small letters, digits and underscores, or name=package.",
            )
        if name in packages:
            refuse("PAYMENT_GATEWAYS", f"names {name} twice.")
        packages[name] = package or f"{OWN}.{name}"
        if missing := _missing(packages[name]):
            refuse(
                "PAYMENT_GATEWAYS",
                f"names {name}, and {missing}. One of your own is named as name=package.",
            )
    return packages


def _missing(package: str) -> str:
    """Why the package is no gateway's; empty where it is one."""
    try:
        if find_spec(package) is None:
            return f"there is no package {package}"
        return "" if find_spec(f"{package}.settings") else f"{package} has no module settings"
    except (ImportError, ValueError):
        return f"there is no package {package}"


def django_apps(packages: Iterable[str]) -> list[str]:
    """The gateways that have tables, pages of the admin or commands of their own."""
    return [package for package in packages if find_spec(f"{package}.apps")]


def static_folders(packages: Iterable[str]) -> list[Path]:
    """Where the gateways' scripts and pictures lie, which only their own fields load."""
    folders = [Path(str(import_module(package).__file__)).parent / "static" for package in packages]
    return [folder for folder in folders if folder.is_dir()]


def read_settings(env: Environment, package: str) -> GatewaySettings:
    read = getattr(import_module(f"{package}.settings"), "read", None)
    settings = read(env) if read else None
    if not isinstance(settings, GatewaySettings):
        refuse(
            "PAYMENT_GATEWAYS",
            f"names {package}, whose module settings has no function read(env) that returns "
            "GatewaySettings.",
        )
    return settings
