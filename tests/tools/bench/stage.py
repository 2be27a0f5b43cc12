"""What stands around the contenders: a private Postgres, queue doubles, the shop's own processes.

Everything that is started here ends with the run, by its id, however the run ends.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import django
import psycopg
from psycopg import sql

from config.local.postgres import NOT_DURABLE, EmbeddedPostgres
from config.local.processes import CannotStart, Child, free_port, stop, wait_until
from tests.tools.bench.queue import Queue

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".local" / "bench"

START_SECONDS = 60

# What is asked to end is killed after so long.
STOP_SECONDS = 15.0

# As many web processes as the machine that the figures in docs/speed.md are from has cores, each as
# the Procfile starts it, behind what stands for a load balancer.
WEB_PROCESSES = 2

# Out of which a part's own database is copied.
BLANK = "blank"

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "DEMO_DIR": os.devnull,
    "SECRET_KEY": "for-benchmarks-only-" * 3,
    "ALLOWED_HOSTS": "127.0.0.1,testserver",
    "DEBUG": "false",
    "HTTPS_ONLY": "false",
    # As behind a load balancer: each shopper has an address, and is counted by it as in a shop.
    # The whole shop's limit is lifted, for more is bought here within a minute than it allows.
    "TRUSTED_PROXY_COUNT": "1",
    "LIMIT_PLACING": "session 20/10m, address 120/10m, shop 100000000/10m",
    "SANDBOX_GATEWAY_ALLOWED": "true",
    "STRIPE_API_BASE": "http://127.0.0.1:9",
    "STRIPE_SECRET_KEY": "sk_test_bench",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "PAYMENTS_QUEUE_NAME": "payments.fifo",
    "NO_PROXY": "*",
}

# Against noise: checkpoints come when they are asked for, between the rounds.
POSTGRES = {
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "log_line_prefix": "%a|%p|",  # whose statement, and on which connection
}


class Stage:
    """The server commits as in production: nothing is answered before it is on the disk. So both
    sides of a ratio wait for the same disk."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._logs = folder / "logs"
        self.postgres = EmbeddedPostgres(folder / "postgres", durable=True)
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        url = self.postgres.start()  # which another run on this folder refuses
        try:
            self._end_postgres_by(signal.SIGQUIT)  # nobody will read its data again
            shutil.rmtree(self._logs, ignore_errors=True)
            self._drop_what_is_left()
            for name, value in POSTGRES.items():
                self.set_server(name, value)
            os.environ |= ENVIRONMENT | {"DATABASE_URL": url}
            with quietly():
                django.setup()
            self._make_blank()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        stop(self._children, seconds=10)
        self.postgres.stop()
        shutil.rmtree(self.postgres.data_dir, ignore_errors=True)

    # --- Databases ----------------------------------------------------------------------------

    def _drop_what_is_left(self) -> None:
        """Of a run that was killed."""
        query = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
        with psycopg.connect(self.url("postgres")) as connection:
            left = [name for (name,) in connection.execute(query)]
        for name in left:
            self._execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))

    def _make_blank(self) -> None:
        from django.core.management import call_command

        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(BLANK)))
        self.use(BLANK)
        call_command("migrate", verbosity=0)
        self.leave()

    def make_database(self, name: str, *, like: str = BLANK) -> None:
        command = "CREATE DATABASE {} TEMPLATE {}"
        self._execute(sql.SQL(command).format(sql.Identifier(name), sql.Identifier(like)))

    def drop_database(self, name: str) -> None:
        self.leave()
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def use(self, name: str) -> None:
        """From now on this process, and what it starts, works with that database."""
        from django.db import connection

        connection.close()
        connection.settings_dict["NAME"] = name
        os.environ["DATABASE_URL"] = self.url(name)

    def leave(self) -> None:
        from django.db import connection

        connection.close()

    @property
    def url_in_use(self) -> str:
        return os.environ["DATABASE_URL"]

    def url(self, name: str) -> str:
        return f"{self.postgres.url.rpartition('/')[0]}/{name}"

    def set_server(self, name: str, value: str) -> None:
        command = sql.SQL("ALTER SYSTEM SET {} = {}")
        self._execute(command.format(sql.Identifier(name), sql.Literal(value)))
        self._execute(sql.SQL("SELECT pg_reload_conf()"))

    def checkpoint(self) -> None:
        self._execute(sql.SQL("CHECKPOINT"))

    def _execute(self, command: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(command)

    def restart_postgres(self) -> None:
        """Its sessions are ended and its data written, so that nothing has to be recovered."""
        self.leave()
        self._end_postgres_by(signal.SIGINT)
        self.postgres.stop()
        self.postgres.start()
        self._end_postgres_by(signal.SIGQUIT)

    def _end_postgres_by(self, signum: signal.Signals) -> None:
        if self.postgres.child:
            self.postgres.child.stop_signal = signum

    @contextmanager
    def statements_logged(self) -> Iterator[list[str]]:
        """What the server logs meanwhile, in the list when it is over."""
        assert self.postgres.child
        log = self.postgres.child.log
        said: list[str] = []
        self._log_statements(log, "all")
        before = log.stat().st_size
        try:
            yield said
        finally:
            self._log_statements(log, "none")
            said.append(log.read_bytes()[before:].decode(errors="replace"))

    def _log_statements(self, log: Path, which: str) -> None:
        """The server says so when it has read the setting, and tells the open sessions then."""
        before = log.stat().st_size
        self.set_server("log_statement", which)
        told = f'parameter "log_statement" changed to "{which}"'.encode()
        if not wait_until(lambda: told in log.read_bytes()[before:], seconds=START_SECONDS):
            raise CannotStart(f"Postgres has not read its settings again. Its log is {log}.")

    def version(self) -> str:
        with psycopg.connect(self.url("postgres")) as connection:
            return str(connection.execute("SHOW server_version").fetchone()[0]).split()[0]  # type: ignore[index] # one row

    def count_in_log(self, words: str) -> int:
        """Of everything the server has said."""
        return (
            self.postgres.child.log.read_text(errors="replace").count(words)
            if self.postgres.child
            else 0
        )

    @contextmanager
    def not_durable(self) -> Iterator[None]:
        for name in NOT_DURABLE:
            self.set_server(name, "off")
        try:
            yield
        finally:
            for name in NOT_DURABLE:
                self.set_server(name, "on")
            self.checkpoint()

    # --- Processes ----------------------------------------------------------------------------

    def start(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> Child:
        child = Child(
            name=name,
            command=command,
            log=self._logs / f"{len(self._children):03d}-{name}.log",
            environment={**os.environ, "PGAPPNAME": name, **(environment or {})},
            directory=ROOT,
        )
        self._children.append(child)
        child.start()
        return child

    @contextmanager
    def running(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str] | None = None,
        *,
        seconds: float = STOP_SECONDS,
    ) -> Iterator[Child]:
        child = self.start(name, command, environment)
        try:
            yield child
        finally:
            stop([child], seconds=seconds)

    @contextmanager
    def manage(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        seconds: float = STOP_SECONDS,
    ) -> Iterator[Child]:
        name = arguments[0].removeprefix("run_")
        command = [sys.executable, "manage.py", *arguments]
        with self.running(name, command, environment, seconds=seconds) as child:
            yield child

    @contextmanager
    def web(
        self,
        app: str = "config.wsgi",
        *,
        processes: int = WEB_PROCESSES,
        threads: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[list[int]]:
        """Production servers, one to a port; their ports, once they answer."""
        with self.web_servers(app, processes, threads, environment) as servers:
            yield list(servers)

    @contextmanager
    def web_servers(
        self,
        app: str = "config.wsgi",
        processes: int = WEB_PROCESSES,
        threads: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[dict[int, Child]]:
        """The same servers by their ports, where somebody looks at their processes."""
        ports = [free_port() for _ in range(processes)]
        web = {
            port: self.start("web", web_command(app, port, threads), environment) for port in ports
        }
        try:
            for port, child in web.items():
                await_answer(child, f"http://127.0.0.1:{port}/healthz")
            yield web
        finally:
            stop(web.values(), seconds=10)

    @contextmanager
    def queue(self) -> Iterator[Queue]:
        """The queue double in a process of its own, with the shop's queues."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "config.local.sqs_double", "--port", str(port)]
        with self.running("queue", command) as child:
            await_answer(child, f"{url}/control/requests")
            yield Queue.at(url)

    def run(self, command: list[str], environment: Mapping[str, str] | None = None) -> str:
        """To its end; what it said on standard output."""
        ran = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return ran.stdout

    def file(self, name: str) -> Path:
        return self._logs / name


@contextmanager
def quietly() -> Iterator[None]:
    """This process only says what is measured; the shop's own log as in production."""
    os.environ["LOG_LEVEL"] = "ERROR"
    yield
    del os.environ["LOG_LEVEL"]


def web_command(app: str, port: int, threads: int = 0) -> list[str]:
    """As the Procfile has it, but for the address."""
    procfile = (ROOT / "Procfile").read_text()
    line = re.search(r"^web: gunicorn config\.wsgi (.*)$", procfile, re.MULTILINE)
    assert line, procfile
    command = [sys.executable, "-m", "gunicorn", app, *shlex.split(line[1])]
    command += [f"--bind=127.0.0.1:{port}", "--no-control-socket"]
    return [*command, f"--threads={threads}"] if threads else command


def web_threads() -> int:
    """Of one process of the Procfile."""
    line = re.search(r"^web: .*--threads[ =](\d+)", (ROOT / "Procfile").read_text(), re.MULTILINE)
    return int(line[1]) if line else 1


def await_answer(child: Child, url: str) -> None:
    if not wait_until(lambda: not child.is_running or answers(url), seconds=START_SECONDS):
        raise CannotStart(f"{child.name} does not answer. Its log is {child.log}.")
    if not child.is_running:
        last = " ".join(child.last_lines(3))
        raise CannotStart(f"{child.name} ended while it was starting: {last}")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
