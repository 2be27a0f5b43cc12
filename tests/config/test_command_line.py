"""Commands explain themselves to everybody, and are heard while they run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands

from checkout.catalogue.gateways import gateway_names
from config.command_line import asks_for_help
from config.local.processes import free_port
from tests.support import processes
from tests.support.long import at_length

ROOT = Path(__file__).resolve().parents[2]

# As `env -i PATH=…` has it, and in a folder where no demo runs.
EMPTY = {"PATH": os.defpath, "DEMO_DIR": os.devnull}

# One process for all: each command ends as it would by itself.
EXPLAIN_ALL = """
import sys
import manage
for name in sys.argv[1:]:
    sys.argv = ["manage.py", name, "--help"]
    try:
        manage.main()
    except SystemExit as ended:
        assert not ended.code, (name, ended.code)
    else:
        raise AssertionError(f"{name} went on")
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return processes.run([sys.executable, *arguments], EMPTY | environment)


def our_commands() -> list[str]:
    folders = [ROOT / "checkout", ROOT / "payments", ROOT / "config"]
    ours = {
        app.name
        for app in apps.get_app_configs()
        if any(Path(app.path).is_relative_to(folder) for folder in folders)
    }
    return sorted(name for name, app in get_commands().items() if app in ours)


def test_every_command_explains_itself_where_nothing_is_configured(tmp_path: Path) -> None:
    names = our_commands()
    explain_all = tmp_path / "explain_all.py"
    explain_all.write_text(EXPLAIN_ALL)

    # A gateway brings its commands along where a shop has it, and needs nothing else for this.
    result = run(str(explain_all), *names, PAYMENT_GATEWAYS=",".join(gateway_names()))

    assert len(names) > 15
    assert result.returncode == 0, result.stderr
    assert [f"usage: manage.py {name}" in result.stdout for name in names] == [True] * len(names)


@pytest.mark.parametrize("arguments", [["help"], ["help", "audit_orders"], *at_length(["--help"])])
def test_help_lists_what_there_is_where_nothing_is_configured(arguments: list[str]) -> None:
    result = run("manage.py", *arguments)

    assert result.returncode == 0, result.stderr
    assert "audit_orders" in result.stdout


def test_command_that_is_to_do_something_still_names_what_is_missing() -> None:
    result = run("manage.py", "audit_orders")

    assert result.returncode == 1
    assert result.stderr.startswith("Configuration: SECRET_KEY is not set.")


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        (["help"], True),
        (["audit_orders", "--help"], True),
        (["dead_letters", "list", "-h"], True),
        (["audit_orders"], False),
        (["shell", "-c", "help"], False),
        (["order_story", "--", "--help"], False),
        ([], False),
    ],
)
def test_only_what_does_nothing_else_goes_without_settings(words: list[str], asks: bool) -> None:
    assert asks_for_help(["manage.py", *words]) is asks


def test_line_is_read_by_a_pipe_while_the_command_runs(ledger_path: Path) -> None:
    environment = {**os.environ, "SANDBOX_GATEWAY_ALLOWED": "true"}
    environment.pop("PYTHONUNBUFFERED", None)
    command = ["manage.py", "run_sandbox_gateway", "--ledger", str(ledger_path)]
    process = subprocess.Popen(
        [sys.executable, *command, "--port", str(free_port())],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        assert process.stdout.readline().startswith("Sandbox gateway listening on ")
        assert process.poll() is None
    finally:
        process.terminate()
        process.communicate(timeout=30)
