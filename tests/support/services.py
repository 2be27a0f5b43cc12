"""The services that tests need, started before Django reads its settings.

A private Postgres and a local SQS, unless DATABASE_URL and AWS_ENDPOINT_URL name others. Nothing
else of the developer's environment, and no running demo, has a say.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.local.postgres import EmbeddedPostgres, InUse
from config.local.processes import CannotStart
from config.local.sqs import LocalSQS

FOLDER = Path(__file__).resolve().parents[2] / ".local" / "test"

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
    "LIMIT_API": "",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "STRIPE_SECRET_KEY": "sk_test_tests",
    "STRIPE_API_BASE": "http://127.0.0.1:9",  # nobody listens there; tests name their own
    "SANDBOX_GATEWAY_ALLOWED": "true",
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
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_BEHIND_PGBOUNCER",
    "DATABASE_CONN_MAX_AGE_SECONDS",
    "DEFAULT_FROM_EMAIL",
    "EMAIL_TIMEOUT_SECONDS",
    "EMAIL_URL",
    "FAULT_POINT",
    "GATEWAY_LIMITS",
    "GATEWAY_TIMEOUT_SECONDS",
    "LOG_LEVEL",
    "MESSAGE_VISIBILITY_SECONDS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "PAYMENTS_QUEUE_NAME",
    "PAYMENT_GATEWAY",
    "PAYMENT_LEASE_SECONDS",
    "PAYMENT_METHOD_TEMPLATE",
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
    if "DATABASE_URL" not in os.environ:
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


def _start_postgres(config: pytest.Config) -> str:
    postgres = EmbeddedPostgres(FOLDER / "postgres", durable=False)
    try:
        url = postgres.start()
    except InUse:  # by another run in the same tree
        folder = Path(tempfile.mkdtemp(prefix="shop-tests-"))
        folder.chmod(0o711)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        postgres = EmbeddedPostgres(folder / "postgres", durable=False)
        url = postgres.start()
    config.add_cleanup(postgres.stop)
    return url
