"""During a deploy the previous release's processes run beside the present ones, on a database that
is migrated already."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.outbox import publish_outbox
from checkout.orders.queue import PaymentsQueue
from payments.sandbox.server import SandboxServer
from tests.orders.factories import placed_order
from tests.processes import ROOT, ShopProcesses
from tests.shopper import OverHttp, Shopper
from tests.till import Till, assert_each_paid_once

# The commit from which the last release was made. A release sets its own here.
COMMIT = Path(__file__).with_name("previous_release.txt").read_text().strip()


@pytest.fixture
def previous_tree(tmp_path: Path) -> Path:
    """That commit's files. Not a worktree, which a killed run would leave in the repository."""
    archive = ["git", "-C", str(ROOT), "archive", "--format=tar", COMMIT]
    try:
        packed = subprocess.run(archive, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("There is no git here to take the previous release from.")
    if packed.returncode:
        reason = packed.stderr.decode().strip()
        pytest.skip(f"The previous release {COMMIT} is not in this clone: {reason}")
    tree = tmp_path / "previous"
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
        files.extractall(tree, filter="data")
    return tree


@pytest.fixture
def previous(
    tmp_path: Path,
    previous_tree: Path,
    shelf: list[Product],
    queue: PaymentsQueue,
    sandbox: SandboxServer,
) -> Iterator[ShopProcesses]:
    logs = tmp_path / "previous-logs"
    logs.mkdir()
    started = ShopProcesses(logs, directory=previous_tree, STRIPE_API_BASE=sandbox.url)
    yield started
    started.stop()
    print(started.said())


def test_previous_worker_settles_what_the_present_release_placed(
    previous: ShopProcesses, shelf: list[Product], queue: PaymentsQueue, till: Till
) -> None:
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())

    previous.worker()

    assert_each_paid_once(till)
    assert Order.objects.count() == 1


def test_present_worker_settles_what_the_previous_release_placed(
    previous: ShopProcesses, processes: ShopProcesses, till: Till
) -> None:
    web = previous.web()
    previous.publisher()
    processes.worker()

    answer = Shopper(OverHttp(web.url)).buy("SKU-01")

    assert answer.status == 303
    assert_each_paid_once(till)
    assert Order.objects.count() == 1
