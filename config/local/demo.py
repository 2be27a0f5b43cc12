"""`make demo` runs the whole shop on this machine, and makes its first purchase.

Postgres, SQS, the sandbox gateway, two web processes, publisher, worker and mailer are started,
watched and, when one of them dies, started again. All of them end when this process ends. A page of
this process alone, `config.local.break_it`, breaks them on demand.
"""

import io
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import django
import requests
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from config.command_line import speak_at_once
from config.local import demo_settings
from config.local.break_it.diary import Diary, Kind
from config.local.break_it.scenes import POSTGRES, SQS, RunningShop, over_wire
from config.local.locks import take_lock
from config.local.postgres import EmbeddedPostgres
from config.local.postgres_proxy import PostgresProxy
from config.local.processes import (
    CannotStart,
    Child,
    free_port,
    port_is_free,
    stop,
    take_port,
    wait_until,
)
from config.local.sqs import JournalledSQS
from config.local.watching import Watch
from payments.sandbox import for_demo

if TYPE_CHECKING:
    from config.local.break_it.server import BreakServer

ROOT = Path(__file__).resolve().parents[2]

WEB_PROCESSES = 2
START_SECONDS = 60.0
WATCH_SECONDS = 0.2

# Ctrl-C, `kill`, and the end of the terminal.
END_SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM]
ENDS_AGAIN_SECONDS = 0.5


class Ended(BaseException):
    """One of the signals above came. No handler of errors catches a BaseException."""


class Demo:
    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.sandbox_urls: dict[str, str] = {}  # by gateway
        self.webhook_secret = for_demo.new_webhook_secret()
        self.environment = demo_settings.gathered()
        self.postgres: EmbeddedPostgres | None = None
        self.wire: PostgresProxy | None = None  # between the web processes and Postgres
        self.sqs: JournalledSQS | None = None
        self.diary = Diary()
        self.watch = Watch(self._part_died)
        self.break_server: BreakServer | None = None
        self._began = time.monotonic()

    def run(self) -> None:
        with _only_one(self.folder / "demo.lock"):
            if not port_is_free(self.port):
                raise CannotStart(
                    f"Port {self.port} is taken by another program. "
                    f"Try: make demo PORT={self.port + 1}"
                )
            try:
                self._start()
                self._make_the_first_purchase()
                self._start_break_page()
                self._say_where_all_is()
                self._watch()
            finally:
                self._stop()

    def _start(self) -> None:
        self._start_services()
        if "SECRET_KEY" not in self.environment:
            self.environment["SECRET_KEY"] = _kept_secret(self.folder / "secret_key")
        for name in ["FAULT_POINT", *(f"{name}_FILE" for name in self.environment)]:
            os.environ.pop(name, None)  # a file would win over the value
        os.environ.update(self.environment)
        # Commands in another terminal read this file by `running_demo`, and so do the settings
        # below: they would believe the file of a demo that was killed.
        lines = [f"{name}={value}\n" for name, value in self.environment.items()]
        _write_private(self.folder / "demo.env", "".join(lines))
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("ensure_queues", verbosity=0, stdout=io.StringIO())
        call_command("load_demo_catalogue", stdout=io.StringIO())
        _create_administrator()
        self._say("tables, queues and catalogue")
        self._start_processes()
        self._say(f"the shop, {WEB_PROCESSES} web processes, publisher, worker and mailer")

    def _start_services(self) -> None:
        if "DATABASE_URL" in self.environment:
            self._say("your Postgres, by DATABASE_URL")
        else:
            self.postgres = EmbeddedPostgres(self.folder / "postgres", durable=True)
            self.environment["DATABASE_URL"] = self.postgres.start()
            self.wire = PostgresProxy("127.0.0.1", self.postgres.port)
            self._say("Postgres")
        if "AWS_ENDPOINT_URL" in self.environment:
            self._say("your SQS, by AWS_ENDPOINT_URL")
        else:
            journal = self.folder / "queue-journal.jsonl"
            journal.unlink(missing_ok=True)  # the queue forgets all as well
            self.sqs = JournalledSQS(log=self._log("sqs"), journal=journal)
            self.environment |= demo_settings.SQS_CREDENTIALS
            self.environment["AWS_ENDPOINT_URL"] = self.sqs.start()
            self._say("SQS")
        self.sandbox_urls = {
            gateway: f"http://127.0.0.1:{free_port()}" for gateway in for_demo.SANDBOXES.values()
        }
        self.environment |= for_demo.settings_for(
            urls=self.sandbox_urls, webhook_secret=self.webhook_secret
        )
        self.environment["PORT"] = str(self.port)
        self.environment.setdefault("SHOP_URL", self.url)

    def _start_processes(self) -> None:
        manage = [sys.executable, str(ROOT / "manage.py")]
        sandboxes = {
            name: [*manage, "run_sandbox_gateway", *self._arguments_of(gateway)]
            for name, gateway in for_demo.SANDBOXES.items()
        }
        web = [sys.executable, "-m", "gunicorn", "config.wsgi", f"--bind=127.0.0.1:{self.port}"]
        web += [f"--workers={WEB_PROCESSES}", "--worker-class=gthread", "--threads=4"]
        web += ["--no-control-socket", "--graceful-timeout=5"]
        commands = {
            **sandboxes,
            "web": web,
            "publisher": [*manage, "run_outbox_publisher"],
            # A short wait for messages lets Ctrl-C end it at once.
            "worker": [*manage, "run_payment_worker", "--wait-seconds", "1"],
            # Prints the mails into its log, unless EMAIL_URL names a server.
            "mailer": [*manage, "run_mailer"],
        }
        for name, command in commands.items():
            part = Child(
                name=name,
                command=command,
                log=self._log(name),
                environment=self._environment_of(name),
                directory=ROOT,
                # gunicorn's master ends its workers on SIGTERM.
                death_signal=signal.SIGTERM if name == "web" else signal.SIGKILL,
            )
            part.start()
            self.watch.add(part)
        if not wait_until(self._is_ready, seconds=START_SECONDS):
            raise CannotStart(f"The shop does not answer. Its log is {self._log('web')}.")

    def _environment_of(self, name: str) -> Mapping[str, str] | None:
        """Web processes reach Postgres by a wire that can be cut, all others without."""
        if name != "web" or self.wire is None:
            return None
        database = over_wire(self.environment["DATABASE_URL"], self.wire)
        return os.environ | {"DATABASE_URL": database}

    def _arguments_of(self, gateway: str) -> list[str]:
        return for_demo.arguments(
            gateway,
            url=self.sandbox_urls[gateway],
            folder=self.folder,
            shop_url=self.url,
            webhook_secret=self.webhook_secret,
        )

    def _is_ready(self) -> bool:
        for part in self.watch.parts():
            if not part.is_running:
                last = " ".join(part.last_lines(1)) or "without a message"
                raise CannotStart(f"The {part.name} ended while it was starting: {last}")
        sandboxes = [f"{url}/sandbox/ledger" for url in self.sandbox_urls.values()]
        return all(_answers(url) for url in (f"{self.url}/readyz", *sandboxes))

    def _make_the_first_purchase(self) -> None:
        from checkout.orders.models import Order
        from config.local.first_purchase import PromiseBroken, buy, product_with_plenty

        earlier = Order.objects.count()
        found = f"Found {earlier} earlier order{'' if earlier == 1 else 's'}.\n" if earlier else ""
        print(f"\n{found}")
        product = product_with_plenty()
        if product is None:
            print("Nearly everything is sold out, so there is no purchase this time.")
        else:
            try:
                sandbox = next(iter(self.sandbox_urls.values()))
                for line in buy(self.url, sandbox, product):
                    print(line)
            except (PromiseBroken, requests.RequestException) as error:
                raise CannotStart(f"The first purchase failed: {error}") from error

    def _start_break_page(self) -> None:
        from config.local.break_it.break_page import BreakPage
        from config.local.break_it.server import BreakServer

        shop = RunningShop(
            name=settings.SHOP_NAME,
            url=self.url,
            folder=self.folder,
            database=self.environment["DATABASE_URL"],
            sandbox_url=self.sandbox_urls[for_demo.BY_CARD],
            ledger=self.folder / for_demo.LEDGERS[for_demo.BY_CARD],
            queue=settings.PAYMENTS_QUEUE_NAME,
            watch=self.watch,
            postgres=self.postgres,
            wire=self.wire,
            sqs=self.sqs,
        )
        port = self.port + 1 if take_port(self.port + 1) else free_port()
        self.break_server = BreakServer(BreakPage(shop, self.diary), port=port)
        self.break_server.start()

    def _say_where_all_is(self) -> None:
        pids = {part.name: part.pid for part in self.watch.parts()}
        print(
            f"""
Shop     {self.url}/
Break it {self.break_server.url if self.break_server else ""}
Admin    {self.url}/admin/   (admin, password admin)
API      {self.url}/api/v1/docs/
Logs     {self._log("*")}

Try to break it, on the page above or by hand: choose the slow bank at the checkout, press "Place
order", and meanwhile kill -9 {pids["worker"]} (the worker), {pids["web"]} (web) or
{pids["publisher"]} (publisher). What died is started again under another process id, which is
printed here and stands on the page above.
Ctrl-C ends everything.
"""
        )

    def _watch(self) -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            if self.postgres and self.postgres.child and not self.postgres.child.is_running:
                self._report(POSTGRES)
                self.postgres.stop()
                self.postgres.start()
            if self.sqs and self.sqs.is_wanted and not self.sqs.child.is_running:
                self._report(SQS)
                self.sqs.start()
                call_command("ensure_queues", verbosity=0, stdout=io.StringIO())
            self.watch.look()

    def _part_died(self, part: Child, died: int) -> None:
        self._report(part.name, f"{died}, now {part.pid}")

    def _stop(self) -> None:
        for signum in END_SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
        (self.folder / "demo.env").unlink(missing_ok=True)
        if self.break_server:
            self.break_server.stop()
        stop(self.watch.parts(), seconds=10)
        if self.sqs:
            self.sqs.stop()
        if self.postgres:
            self.postgres.stop()

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:5.1f} s  {what}")

    def _report(self, name: str, pids: str = "") -> None:
        pids = f" (pid {pids})" if pids else ""
        entry = self.diary.note(Kind.START, f"{name} started again{pids}", about=name)
        ended = "was ended by the page" if entry.is_told else "died"
        print(f"{time.strftime('%H:%M:%S')}  {name} {ended}{pids}: started again.")


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        if not take_lock(held.fileno()):
            raise CannotStart("A demo is running in this folder already.")
        yield


def _kept_secret(path: Path) -> str:
    """Keep the key over restarts, so that a form from before is still good."""
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(48))
    return path.read_text()


def _write_private(path: Path, text: str) -> None:
    """Write the file in one step, and readable for nobody else."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.replace(path)


def _create_administrator() -> None:
    from django.contrib.auth.models import User

    # A database that was there before may have an administrator already, and gets no second one.
    if not User.objects.filter(is_superuser=True).exists():
        User.objects.create_superuser("admin", password="admin")  # noqa: S106 - for this machine only


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def _end(signum: int, frame: FrameType | None) -> None:
    """End the demo, and try again after a moment, until `_stop` has begun: Python drops what is
    raised while it cleans an object up."""
    signal.setitimer(signal.ITIMER_REAL, ENDS_AGAIN_SECONDS)
    raise Ended


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise CannotStart(f"PORT is {text!r}, and must be a number from 1 to 65535.")
    return int(text)


def main() -> None:
    speak_at_once()
    for signum in END_SIGNALS:
        signal.signal(signum, _end)
    try:
        try:
            Demo(Path(os.environ.get("DEMO_DIR") or ROOT / ".local").absolute(), _port()).run()
        except Ended:
            signal.setitimer(signal.ITIMER_REAL, 0)
            print("Everything has ended. The orders are kept.")
    except BrokenPipeError:
        # Nobody reads any more: `make demo | tee`, where Ctrl-C ended tee first.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (CannotStart, CommandError, ImproperlyConfigured) as error:
        sys.exit(str(error).strip())
    except (DatabaseError, OSError) as error:
        sys.exit(f"The demo cannot go on: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
