"""Imports point one way: `MAY_IMPORT` says which, from the pages down to the ground floor, and
`FLOORS` does the same inside the two apps that are houses of their own."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Floor → what it may import of ours. The longest name that fits is a module's floor.
GROUND = {"checkout.runtime", "checkout.user_input", "checkout.quotes", "checkout.texts"}
MAY_IMPORT = {
    "config": {"config", "checkout", "checkout.orders", "checkout.catalogue", "payments"} | GROUND,
    "checkout": {"checkout", "checkout.orders", "checkout.catalogue"} | GROUND,
    "payments": {"payments", "checkout.orders", "checkout.catalogue"} | GROUND,
    "checkout.orders": {"checkout.orders", "checkout.catalogue"} | GROUND,
    "checkout.catalogue": {"checkout.catalogue"} | GROUND,
    "checkout.user_input": {"checkout.user_input"},
    "checkout.quotes": {"checkout.quotes"},
    "checkout.texts": {"checkout.texts", "checkout.user_input", "checkout.runtime"},
    "checkout.runtime": {"checkout.runtime", "checkout.user_input"},
}


def floor_of(module: str) -> str | None:
    floors = [floor for floor in MAY_IMPORT if module == floor or module.startswith(f"{floor}.")]
    return max(floors, key=len, default=None)


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """To read all modules takes half a second."""
    return tuple(_imports_of(path))


def _imports_of(path: Path) -> Iterator[str]:
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


def wrong_arrows(module: str, imported: Iterable[str]) -> list[str]:
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
        ("checkout.views.checkout", "payments.settling.settle_order"),
        ("payments.settling.settle_order", "checkout.cart"),
        ("checkout.runtime.retry", "checkout.orders.models"),
        ("payments.settling.settle_order", "config.settings"),
    ],
)
def test_the_walk_finds_a_wrong_arrow(module: str, imported: str) -> None:
    assert wrong_arrows(module, [imported]) == [f"{module} imports {imported}"]


# The rooms of an app by floor, the lowest first. A module may import its own floor and those below.
# The longest name that fits is a module's room.
FLOORS = {
    "checkout.orders": (
        # The vocabulary.
        {"states", "numbers", "models", "action_impossible", "sweep_schedule"},
        # Small ledgers, and what is read from them.
        {
            "history",
            "attention",
            "code_uses",
            "identity",
            "limits",
            "links",
            "money",
            "pausing",
            "postal_address",
            "stock",
            "ways_to_pay",
        },
        # What an event causes.
        {"mail", "webhooks", "outbox", "queue", "invoices"},
        {"transitions"},
        # The acts.
        {"dispatch"},
        {"placing", "paying", "withdrawals", "cancelling"},
        # What runs, and what operators and cron do.
        {
            "operations",
            "privacy",
            "restoring",
            "mail.mailer",
            "outbox.publisher",
            "webhooks.sender",
        },
        {"admin", "management", "checks", "apps"},
    ),
    "payments": (
        {"sandbox"},
        {"states", "models"},
        {"gateways"},
        {
            *("prices", "refunds", "refund_lines", "withdrawals", "settling", "capturing"),
            "books.lost_orders",
        },
        {"books"},
        {"restoring"},
        {"worker"},
        {"receive_hint", "views", "urls", "templatetags", "retention", "personal_data"},
        {"admin", "management", "checks", "apps"},
    ),
}


def level_of(app: str, module: str) -> int | None:
    """How high a module stands inside of its app; None for the app itself and for other apps."""
    rooms = {f"{app}.{room}": level for level, floor in enumerate(FLOORS[app]) for room in floor}
    fitting = [room for room in rooms if f"{module}.".startswith(f"{room}.")]
    return rooms[max(fitting, key=len)] if fitting else None


def arrows_up(module: str, imported: Iterable[str]) -> list[str]:
    return [
        f"{module} imports {name}"
        for app in FLOORS
        if (level := level_of(app, module)) is not None
        for name in imported
        if (level_of(app, name) or 0) > level
    ]


def test_no_import_points_up_inside_an_app() -> None:
    wrong = [
        arrow for module, path in our_modules() for arrow in arrows_up(module, imports_of(path))
    ]

    assert wrong == []


def test_every_module_of_the_two_apps_stands_on_a_floor() -> None:
    homeless = [
        module
        for module, _ in our_modules()
        for app in FLOORS
        if floor_of(module) == app
        and ".migrations." not in module
        and module != f"{app}.__init__"
        and level_of(app, module) is None
    ]

    assert homeless == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("checkout.orders.models.order", "checkout.orders.history.note"),
        ("checkout.orders.outbox.sweep", "checkout.orders.transitions.transition"),
        ("checkout.orders.mail.send", "checkout.orders.mail.mailer"),
        ("checkout.orders.transitions", "checkout.orders.placing.place"),
        ("checkout.orders.operations.requeue", "checkout.orders.admin.orders"),
        ("payments.gateways.base", "payments.settling.refunds"),
        ("payments.settling.refunds", "payments.worker.handle"),
        ("payments.worker.handle", "payments.admin.actions"),
        ("payments.gateways.stripe.client", "payments.receive_hint"),
    ],
)
def test_the_walk_finds_an_arrow_that_points_up(module: str, imported: str) -> None:
    assert arrows_up(module, [imported]) == [f"{module} imports {imported}"]


def a_circle_in(imports: dict[str, Iterable[str]]) -> list[str]:
    """One circle of modules that import each other; empty where there is none."""
    modules = {name.removesuffix(".__init__"): [*names] for name, names in imports.items()}
    graph = {
        name: {target for each in names if (target := _module_in(modules, each)) and target != name}
        for name, names in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def _module_in(modules: Iterable[str], name: str) -> str:
    """The module of an imported name: `a.b.c` is in `a.b`, where there is no module `a.b.c`."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert a_circle_in({module: imports_of(path) for module, path in our_modules()}) == []


def test_the_search_finds_a_circle() -> None:
    planted = {
        "shop.orders": ["shop.mail.send"],
        "shop.mail": ["shop.words.WORDS"],
        "shop.words": ["shop.orders.place_order"],
    }

    assert set(a_circle_in({name: iter(names) for name, names in planted.items()})) == {*planted}


# The side of a gateway that pages and webhooks need.
WEB_SIDE = [
    *("payments.gateways", "payments.gateways.base", "payments.gateways.settings"),
    "payments.gateways.stripe",
    *("payments.gateways.stripe.amounts", "payments.gateways.stripe.checks"),
    *("payments.gateways.stripe.metadata", "payments.gateways.stripe.settings"),
    *("payments.gateways.stripe.tokens", "payments.gateways.stripe.web"),
]

# What serving a shopper loads, and after it a request of each kind that writes.
SERVE = """
import sys
from config.wsgi import application
from django.urls import get_resolver
get_resolver().url_patterns
from django.conf import settings
from django.test import RequestFactory
from django.contrib.sessions.backends.signed_cookies import SessionStore
from checkout.views.checkout import csrf_failure
print(sorted(m for m in sys.modules if m.split(".")[0] in {"boto3", "botocore", "stripe"}
             or m.startswith("payments.gateways")
             and not m.startswith("payments.gateways.bank_transfer")))  # it calls nobody
"""


def test_the_web_process_loads_neither_boto3_nor_what_calls_a_gateway() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", SERVE], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == str(sorted(WEB_SIDE))
