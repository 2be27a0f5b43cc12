"""The services that tests need, started before Django reads its settings.

A private Postgres and a local SQS, unless DATABASE_URL and AWS_ENDPOINT_URL name others. Nothing
else of the developer's environment, and no running demo, has a say.
"""

import hashlib
import hmac
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from config.local.postgres import EmbeddedPostgres, InUse
from config.local.processes import CannotStart
from config.local.sqs import LocalSQS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".local" / "test"
APPS = ROOT / "checkout", ROOT / "payments"

# Where pytest finds the name of a migrated database, of which each of its processes makes a copy.
TEMPLATE = "TEST_DATABASE_TEMPLATE"

# Settings of the tests' own server.
POSTGRES = {
    # Where nobody has counted a table's rows, an audit or a page of the admin looks costly: its
    # statements would be compiled, which takes up to a second, and then read five rows.
    "jit": "off",
    # Django's own: each connection would be told of it, and again after each test.
    "timezone": "UTC",
}

ENVIRONMENT = {
    "DEMO_DIR": str(FOLDER),  # where no demo ever runs
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "SECRET_KEY": "for-tests-only-" * 4,
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "DEBUG": "false",
    "HTTPS_ONLY": "false",
    # Most tests buy far more from one address than any customer; those of the limits set their own.
    "LIMIT_PLACING": "",
    "LIMIT_DECLINES": "",
    "LIMIT_LOOKUP": "",
    "LIMIT_WITHDRAWALS": "",
    "LIMIT_CODES": "",
    "LIMIT_API": "",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "STRIPE_SECRET_KEY": "sk_test_tests",
    "STRIPE_API_BASE": "http://127.0.0.1:9",  # nobody listens there; tests name their own
    "SANDBOX_GATEWAY_ALLOWED": "true",
    # Both have tables in the tests' database. Tests of several ways to pay offer more than one.
    "PAYMENT_GATEWAYS": "stripe,bank_transfer",
    "PAYMENT_OFFERS": "stripe",
    "BANK_TRANSFER_HOLDER": "Halfmoon Stationers",
    "BANK_TRANSFER_IBAN": "DE89370400440532013000",
    "BANK_TRANSFER_BIC": "COBADEFFXXX",
    # Their own tests switch them on.
    "SIGN_IN_LOCKOUT": "false",
    "STAFF_SECOND_FACTOR": "false",
}
# Their defaults are what is tested.
UNSET = [
    "API_WAITING_AT_MOST",
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "CHECKOUT_TOKEN_MAX_AGE_SECONDS",
    "CLOUDWATCH_NAMESPACE",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_BEHIND_PGBOUNCER",
    "DATABASE_CONN_MAX_AGE_SECONDS",
    "DEFAULT_FROM_EMAIL",
    "EMAIL_TIMEOUT_SECONDS",
    "EMAIL_URL",
    "FAULT_POINT",
    "GATEWAY_TIMEOUT_SECONDS",
    "LOG_LEVEL",
    "MESSAGE_VISIBILITY_SECONDS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "PAYMENTS_QUEUE_NAME",
    "PAYMENT_LEASE_SECONDS",
    "PORT",
    "PYTHONDONTWRITEBYTECODE",  # hundreds of processes start, and each would compile the shop
    "SECRET_KEY_FALLBACKS",
    "SHOP_CURRENCY",
    "SHOP_NAME",
    "STATIC_ROOT",
    "SWEEP_AFTER_SECONDS",
    "SWEEP_EVERY_SECONDS",
    "TRUSTED_PROXY_COUNT",
    "TRUST_X_FORWARDED_PROTO",
]


# A wrapper, because pytest-django's own hook, which imports the settings, insists on being first.
@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    try:
        _start(early_config)
    except CannotStart as error:
        raise pytest.UsageError(str(error)) from error
    return (yield)


def _start(config: pytest.Config) -> None:
    is_ours = "DATABASE_URL" not in os.environ
    if is_ours:
        os.environ["DATABASE_URL"] = _start_postgres(config)
    if "AWS_ENDPOINT_URL" not in os.environ:
        sqs = LocalSQS(log=FOLDER / f"sqs-{os.getpid()}.log")
        config.add_cleanup(sqs.child.log.unlink)
        config.add_cleanup(sqs.stop)
        os.environ["AWS_ENDPOINT_URL"] = sqs.start()
    for name in UNSET:
        os.environ.pop(name, None)
    sys.dont_write_bytecode = False
    os.environ.update(ENVIRONMENT)
    if is_ours:
        os.environ[TEMPLATE] = _migrated(os.environ["DATABASE_URL"])


def _migrated(url: str) -> str:
    """The name of a database to which the migrations of today were applied, by this run or an
    earlier one: to apply them takes as long as hundreds of tests."""
    digest = hashlib.sha256(version("django").encode())
    for file in sorted(file for app in APPS for file in app.rglob("migrations/*.py")):
        digest.update(file.read_bytes())
    name = f"migrated_{digest.hexdigest()[:16]}"
    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'migrat%'")
        names = {each for (each,) in known}
        if name in names:
            return name
        for old in names:
            connection.execute(f"DROP DATABASE {old}")
        connection.execute("CREATE DATABASE migrating")
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": f"{url.rpartition('/')[0]}/migrating"},
            check=True,
        )
        connection.execute(f"ALTER DATABASE migrating RENAME TO {name}")
    return name


def _start_postgres(config: pytest.Config) -> str:
    postgres = EmbeddedPostgres(FOLDER / "postgres", durable=False, settings=POSTGRES)
    try:
        url = postgres.start()
    except InUse:  # by another run in the same tree
        folder = Path(tempfile.mkdtemp(prefix="shop-tests-"))
        folder.chmod(0o711)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        postgres = EmbeddedPostgres(folder / "postgres", durable=False, settings=POSTGRES)
        url = postgres.start()
    config.add_cleanup(postgres.stop)
    _make_signing_in_quick(url)
    return url


def _make_signing_in_quick(url: str) -> None:
    """A connection takes both sides thousands of hashes, so that a stolen password file is of no
    use. This password is made of random bytes, and for each run thousands of connections are made:
    one hash will do (RFC 5803 has the form, and PostgreSQL's documentation of `ALTER ROLE`)."""
    role, password = urlsplit(url).username or "", urlsplit(url).password or ""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations=1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_, stored_, server_ = (b64encode(each).decode() for each in (salt, stored, server))
    verifier = f"SCRAM-SHA-256$1:{salt_}${stored_}:{server_}"
    with psycopg.connect(url, autocommit=True) as connection:
        alter = sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(alter.format(sql.Identifier(role), sql.Literal(verifier)))
