"""The services of compose.yaml, started without an engine: the image's files in a folder that
nobody may write to, its user, the commands, settings, secrets and PgBouncer's file as they are.
Addresses alone are others."""

import os
import pwd
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connection
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from config.local.processes import Child, as_user, free_port, stop
from tests.deploy.files import DEPLOY, copy_context, image_command, services, stages
from tests.doubles.pgbouncer import pgbouncer_binary
from tests.support.long import long
from tests.support.open_folder import open_folder
from tests.support.processes import eventually
from tests.support.shopper import OverHttp, Shopper
from tests.support.till import Charge, charges_at

# What the files say, `test_compose` and `test_containerfile` hold them to.
pytestmark = long

# All services start at once.
START_SECONDS = 120

USER = pwd.struct_passwd(("shop", "x", 10001, 10001, "", "/", ""))

# A name, an address or a folder of the containers → what it is on this machine.
Here = dict[str, str]


def image_user() -> pwd.struct_passwd | None:
    """The image's, where this process may change its own."""
    return USER if os.geteuid() == 0 else None


@dataclass(frozen=True)
class Rights:
    """Those of a container's process, as far as this machine can tell them."""

    before: list[str]  # stands before a command
    user: pwd.struct_passwd | None  # None: this process's own


def rights_here() -> Rights:
    if os.geteuid() != 0:
        return Rights([], None)
    with suppress(PermissionError):
        subprocess.run([sys.executable, "-c", ""], check=True, **as_user(image_user()))
        return Rights([], image_user())
    # This Python lies where root alone may look. Then root, with every capability dropped: it may
    # do no more than anybody.
    dropped = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    return Rights(dropped, None)


@dataclass
class Rehearsal:
    folder: Path
    shop: Path
    here: Here
    rights: Rights
    started: list[Child] = field(default_factory=list)

    def environment(self, name: str) -> dict[str, str]:
        image = stages()[-1].environment
        service = {key: str(value) for key, value in services()[name]["environment"].items()}
        there = image | service
        there["PATH"] = f"{Path(sys.executable).parent}:{there['PATH']}"
        return {key: self._translated(value) for key, value in there.items()} | {
            "PAYMENTS_QUEUE_NAME": self.here["payments.fifo"],
            "PORT": self.here["8000"],
        }

    def start(self, name: str, *more: str) -> Child:
        command = services()[name].get("command", image_command())
        child = Child(
            name=name,
            command=[*self._runnable(name, command), *more],
            log=self.folder / "logs" / name,
            environment=self.environment(name),
            directory=self.shop,
            user=self.rights.user,
        )
        child.start()
        self.started.append(child)
        return child

    def run(self, name: str) -> int:
        child = self.start(name)
        assert child.process
        return child.process.wait(timeout=100)

    def check_health(self, name: str) -> subprocess.CompletedProcess[str]:
        kind, *test = services()[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return subprocess.run(
            self._runnable(name, test),
            cwd=self.shop,
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
            **as_user(self.rights.user),
        )

    def is_healthy(self, name: str) -> bool:
        checked = self.check_health(name)
        print(checked.stderr)  # shown by pytest when the test failed
        return checked.returncode == 0

    def said(self) -> str:
        return "\n".join(child.log.read_text() for child in self.started)

    def _runnable(self, name: str, command: list[Any]) -> list[str]:
        program, *words = [self._translated(str(word)) for word in command]
        # Each container has a /tmp of its own.
        words = [re.sub(r"^/tmp/", f"{self.folder}/tmp/{name}-", word) for word in words]
        return [*self.rights.before, str(Path(sys.executable).parent / program), *words]

    def _translated(self, text: str) -> str:
        for there, here in self.here.items():
            text = text.replace(there, here)
        return text


def start_pgbouncer(binary: str, folder: Path, port: int) -> Child:
    """With deploy/pgbouncer.ini; only where to listen and whom to ask is this machine's."""
    database = connection.settings_dict
    server = f"host={database['HOST']} port={database['PORT']} dbname={database['NAME']}"
    server += f" user={database['USER']} password='{database['PASSWORD']}'"
    text = (DEPLOY / "pgbouncer.ini").read_text()
    for there, here in {
        "host=postgres port=5432": server,
        "listen_addr = *": "listen_addr = 127.0.0.1",
        "listen_port = 6432": f"listen_port = {port}",
        "/run/secrets": str(folder / "secrets"),
    }.items():
        assert there in text
        text = text.replace(there, here)
    file = folder / "pgbouncer.ini"
    file.write_text(text)
    child = Child(
        name="pgbouncer",
        command=[binary, str(file)],
        log=folder / "logs" / "pgbouncer",
        directory=folder,
        user=image_user(),
    )
    child.start()
    return child


@pytest.fixture(scope="module")
def binary() -> str:
    found = pgbouncer_binary()
    if found is None:
        pytest.skip("No pgbouncer is installed here; Debian's package is called pgbouncer.")
    return found


@pytest.fixture(scope="module")
def image(binary: str) -> Iterator[Path]:
    """The files of the image, which no process may change: built once for all tests here."""
    with open_folder("image") as folder:
        build_image(folder / "shop", folder / "static")
        yield folder
        for path in (folder / "shop", *(folder / "shop").rglob("*")):
            path.chmod(0o755)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder("rehearsal") as folder:
        yield folder


@pytest.fixture
def rehearsal(
    transactional_db: None, settings: Settings, binary: str, image: Path, folder: Path
) -> Iterator[Rehearsal]:
    pool, gateway = free_port(), free_port()
    made = Rehearsal(
        folder,
        image / "shop",
        {
            "http://queue:5000": settings.AWS_ENDPOINT_URL,
            "http://gateway:12111": f"http://127.0.0.1:{gateway}",
            "12111": str(gateway),
            "0.0.0.0": "127.0.0.1",
            "/run/secrets": str(folder / "secrets"),
            "/srv/static": str(image / "static"),
            "/tmp/sandbox-ledger": f"/tmp/{folder.name}-ledger",
            "payments.fifo": f"{folder.name}.fifo",
            "127.0.0.1:8000": f"127.0.0.1:{(web := free_port())}",
            "8000": str(web),
        },
        rights_here(),
    )
    secrets = made.here["/run/secrets"]
    subprocess.run([sys.executable, str(DEPLOY / "trial_secrets.py"), secrets], check=True)
    Path(secrets).chmod(0o711)  # an engine mounts each file by itself
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o777)
    url = folder / "secrets" / "database_url"
    url.chmod(0o644)
    url.write_text(url.read_text().replace("@pgbouncer:6432/", f"@127.0.0.1:{pool}/"))
    made.started.append(start_pgbouncer(binary, folder, pool))
    eventually(lambda: "process up" in made.said(), what="the start of PgBouncer")
    yield made
    stop(made.started, seconds=10)
    print(made.said())  # shown by pytest when the test failed
    Path(f"/tmp/{folder.name}-ledger.jsonl").unlink(missing_ok=True)


def build_image(shop: Path, static: Path) -> None:
    build = stages()[1]
    copy_context(build, shop)
    for run in build.all("RUN"):
        environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        environment["STATIC_ROOT"] = str(static)
        subprocess.run(
            ["sh", "-c", run], cwd=shop, env=environment, check=True, capture_output=True
        )
    for path in (shop, *shop.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return requests.get(url, timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    return ask


@pytest.mark.timeout(300)  # six processes are started, asked after and ended, one after the other
def test_services_sell_one_thing_once(rehearsal: Rehearsal, shelf: list[Product]) -> None:
    files = {path: path.stat().st_mtime_ns for path in rehearsal.shop.rglob("*")}
    web_url = f"http://127.0.0.1:{rehearsal.here['8000']}"
    gateway_url = rehearsal.here["http://gateway:12111"]

    assert rehearsal.run("migrate") == 0
    assert rehearsal.run("queues") == 0
    rehearsal.start("web", f"--bind=127.0.0.1:{rehearsal.here['8000']}")
    names = ["gateway", "publisher", "worker", "mailer", "webhooks"]
    daemons = [rehearsal.start(name) for name in names]
    start = "the start of the web process"
    eventually(answers(f"{web_url}/readyz"), seconds=START_SECONDS, what=start)
    ledger = f"{gateway_url}/sandbox/ledger"
    eventually(answers(ledger), seconds=START_SECONDS, what="the gateway's start")

    shopper = Shopper(OverHttp(web_url))
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    shopper.submit(form)
    shopper.submit(form)

    eventually(lambda: [o.status for o in Order.objects.all()] == ["paid"], seconds=START_SECONDS)
    order = Order.objects.get()
    assert charges_at(gateway_url) == [Charge(order.number, order.total_minor, order.currency)]
    eventually(lambda: "Your receipt for order" in rehearsal.said(), what="the mail")
    assert requests.get(f"{web_url}/static/checkout/shop.css", timeout=10).status_code == 200
    for name in ["web", *names]:
        # Who was started last may not have said yet that it is alive.
        eventually(partial(rehearsal.is_healthy, name), what=f"the health of {name}")
    for child in daemons:
        child.send(signal.SIGTERM)
        assert child.process
        assert child.process.wait(timeout=60) == 0, child.name
    assert {path: path.stat().st_mtime_ns for path in rehearsal.shop.rglob("*")} == files


def test_files_of_the_image_cannot_be_changed(rehearsal: Rehearsal) -> None:
    written = subprocess.run(
        [*rehearsal.rights.before, "touch", str(rehearsal.shop / "new")],
        check=False,
        capture_output=True,
        **as_user(rehearsal.rights.user),
    )

    assert written.returncode != 0
    assert not (rehearsal.shop / "new").exists()


@pytest.mark.parametrize("name", ["web", "publisher", "worker", "mailer", "webhooks"])
def test_health_check_of_a_process_that_never_began_fails(rehearsal: Rehearsal, name: str) -> None:
    assert rehearsal.check_health(name).returncode != 0
