"""A PgBouncer in transaction mode, before the server of the tests."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.db import connection

from config.local.processes import Child, free_port, stop, wait_until

# Debian puts it where only root looks.
FOLDERS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])

START_SECONDS = 60


def pgbouncer_binary() -> str | None:
    return shutil.which("pgbouncer", path=FOLDERS)


@contextmanager
def running_pgbouncer(binary: str, *, pool_size: int) -> Iterator[int]:
    """The port on which it offers the test's database to everybody on this machine."""
    folder = Path(tempfile.mkdtemp(prefix="shop-pgbouncer-"))
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # it refuses to run as root
    port = free_port()
    configuration = folder / "pgbouncer.ini"
    configuration.touch(mode=0o600)  # it holds a password
    configuration.write_text(_configuration(port, pool_size))
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.chown(configuration, user.pw_uid, user.pw_gid)
    child = Child(
        name="PgBouncer",
        command=[binary, str(configuration)],
        log=folder / "log",
        directory=Path("/"),
        user=user,
    )
    try:
        child.start()
        assert wait_until(lambda: _answers(child, port), seconds=START_SECONDS), child.last_lines(5)
        yield port
    finally:
        stop([child], seconds=5)
        shutil.rmtree(folder)


def _configuration(port: int, pool_size: int) -> str:
    server = connection.settings_dict
    return f"""
[databases]
{server["NAME"]} = host={server["HOST"]} port={server["PORT"]} user={server["USER"]} \
password='{server["PASSWORD"]}'

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
"""


def _answers(child: Child, port: int) -> bool:
    assert child.is_running, child.last_lines(5)
    try:
        with psycopg.connect(
            host="127.0.0.1", port=port, dbname=connection.settings_dict["NAME"], user="anybody"
        ) as through:
            through.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
