"""Imports point one way: `MAY_IMPORT` says which, from the pages down to the ground floor."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Floor → what it may import of ours. The longest name that fits is a module's floor.
GROUND = {"checkout.runtime", "checkout.user_input"}
MAY_IMPORT = {
    "config": {"config", "checkout", "checkout.orders", "checkout.catalogue", "payments"} | GROUND,
    "checkout": {"checkout", "checkout.orders", "checkout.catalogue"} | GROUND,
    "payments": {"payments", "checkout.orders", "checkout.catalogue"} | GROUND,
    "checkout.orders": {"checkout.orders", "checkout.catalogue"} | GROUND,
    "checkout.catalogue": {"checkout.catalogue"} | GROUND,
    "checkout.user_input": {"checkout.user_input"},
    "checkout.runtime": {"checkout.runtime", "checkout.user_input"},
}


def floor_of(module: str) -> str | None:
    floors = [floor for floor in MAY_IMPORT if module == floor or module.startswith(f"{floor}.")]
    return max(floors, key=len, default=None)


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import hides its floor"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def our_modules() -> Iterator[tuple[str, Path]]:
    for package in ("config", "checkout", "payments"):
        for path in (ROOT / package).rglob("*.py"):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


def wrong_arrows(module: str, imported: Iterator[str]) -> list[str]:
    allowed = MAY_IMPORT[floor_of(module) or ""]
    return [
        f"{module} imports {name}"
        for name in imported
        if (floor := floor_of(name)) and floor not in allowed
    ]


def test_no_import_points_up_or_sideways() -> None:
    wrong = [
        arrow for module, path in our_modules() for arrow in wrong_arrows(module, imports_of(path))
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("checkout.orders.placing.place", "checkout.cart"),
        ("checkout.orders.placing.place", "payments.models"),
        ("checkout.catalogue.stock", "checkout.orders.models"),
        ("checkout.views.place", "payments.settling.settle_order"),
        ("payments.settling.settle_order", "checkout.cart"),
        ("checkout.runtime.retry", "checkout.orders.models"),
        ("payments.settling.settle_order", "config.settings"),
    ],
)
def test_the_walk_finds_a_wrong_arrow(module: str, imported: str) -> None:
    assert wrong_arrows(module, iter([imported])) == [f"{module} imports {imported}"]


# What serving a shopper loads, and after it a request of each kind that writes.
SERVE = """
import sys
from config.wsgi import application
from django.urls import get_resolver
get_resolver().url_patterns
from django.conf import settings
from django.test import RequestFactory
from django.contrib.sessions.backends.signed_cookies import SessionStore
from checkout.views.place import csrf_failure
print(sorted(m for m in sys.modules if m.split(".")[0] in {"boto3", "botocore", "stripe"}
             or m in {"payments.gateways.stripe.client", "payments.gateways.example"}))
"""


def test_the_web_process_loads_neither_boto3_nor_what_calls_a_gateway() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", SERVE], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == "[]"
