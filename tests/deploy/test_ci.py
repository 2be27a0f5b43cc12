"""The watchmen of `.ci/run` bark when there is something, and say what they did not see."""

import json
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.long import at_length, long
from tests.support.processes import ROOT

AUDIT = ROOT / ".ci" / "audit_dependencies.py"
SCAN = ROOT / ".ci" / "scan_secrets.py"
BARE = ROOT / ".ci" / "bare_run.py"


class Advisories(HTTPServer):
    """Speaks as much of OSV as pip-audit asks for."""

    affected = "nothing"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Advisories)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        vulnerability = {
            "id": "GHSA-test-test-test",
            "modified": "2026-01-01T00:00:00Z",
            "affected": [
                {
                    "package": {"name": asked, "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "999.0"}]}],
                }
            ],
        }
        body = json.dumps({"vulns": [vulnerability]} if asked == self.server.affected else {})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def advisories() -> Iterator[Advisories]:
    server = Advisories(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def audit(port: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Of a copy that asks a service on this machine, with the waivers that lie in the folder."""
    copy = folder / ".ci" / AUDIT.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(AUDIT.read_text())
    (folder / "requirements.lock").write_text((ROOT / "requirements.lock").read_text())
    waivers = folder / ".ci" / "waivers.txt"
    waivers.touch()
    return subprocess.run(
        [
            sys.executable,
            str(copy),
            "--vulnerability-service=osv",
            f"--osv-url=http://127.0.0.1:{port}/",
            "--timeout=5",
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_audit_finds_nothing_where_nothing_is(advisories: Advisories, tmp_path: Path) -> None:
    result = audit(advisories.server_port, tmp_path)

    assert result.returncode == 0, result.stderr
    assert "dependencies have no open finding" in result.stdout
    assert "NOT audited" not in result.stdout


@pytest.mark.parametrize(
    ("waiver", "status"),
    [
        ("", 1),
        ("GHSA-test-test-test 2999-01-01 Not reached by the shop.\n", 0),
        ("GHSA-test-test-test 2020-01-01 Accepted for too long.\n", 1),
        *at_length(("GHSA-some-body-else 2999-01-01 Another one.\n", 1)),
    ],
)
def test_finding_fails_unless_a_waiver_still_holds(
    advisories: Advisories, tmp_path: Path, waiver: str, status: int
) -> None:
    advisories.affected = "django"
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "waivers.txt").write_text(f"# identifier, last day, reason\n{waiver}")

    result = audit(advisories.server_port, tmp_path)

    assert result.returncode == status, result.stdout + result.stderr
    assert ("GHSA-test-test-test, fixed in 999.0" in result.stdout) == bool(status)


def test_service_that_does_not_answer_is_said_and_fails_nothing(tmp_path: Path) -> None:
    result = audit(9, tmp_path)

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Dependencies were NOT audited: ")


def test_dependencies_that_the_service_does_not_know_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(AUDIT)])
    script = runpy.run_path(str(AUDIT))
    unknown = {"name": "django", "skip_reason": "Dependency not found"}
    monkeypatch.setitem(
        script["main"].__globals__, "ask", lambda _: ({"dependencies": [unknown]}, "")
    )

    assert script["main"]() == 0
    assert capsys.readouterr().out == (
        "1 of 1 dependencies were NOT audited, the service does not know them: django\n"
    )


def test_waivers_of_this_repository_can_be_read() -> None:
    lines = (ROOT / ".ci" / "waivers.txt").read_text().splitlines()

    assert all(line.startswith("#") or len(line.split(maxsplit=2)) == 3 for line in lines)


def scan(repository: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCAN), str(repository)], capture_output=True, text=True, check=False
    )


def git(repository: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)


# Put together here, so that this file is not found itself.
SECRETS = [
    "key = 'AKIA" + "QWERTYUIOPASDFGH'",
    "STRIPE_SECRET_KEY=sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "STRIPE_WEBHOOK_SECRETS=whsec_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "-----BEGIN RSA PRIVATE" + " KEY-----",
    "postgres://shop:" + "Tr0ub4dor@db.example/shop",
]


@pytest.mark.parametrize("secret", [SECRETS[0], *at_length(*SECRETS[1:])], ids=range(len(SECRETS)))
def test_secret_that_was_committed_and_removed_is_found_and_not_printed(
    tmp_path: Path, secret: str
) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "notes.txt").write_text(f"Harmless.\n{secret}\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Add notes")
    (tmp_path / "notes.txt").write_text("Harmless.\n")
    git(tmp_path, "commit", "-qam", "Take it out")

    result = scan(tmp_path)

    assert result.returncode == 1, result.stderr
    assert "notes.txt" in result.stdout
    assert secret not in result.stdout


@long  # `.ci/run` looks at it by `make watch` as well
def test_history_of_this_repository_is_clean() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("This copy has no history.")
    result = scan(ROOT)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "that were ever committed" in result.stdout


SKIPS = """
import shutil
import pytest

def test_pages():
    if not shutil.which("npm"):
        pytest.skip("There is no npm here")
"""
NEEDS = """
import subprocess

def test_pages():
    subprocess.run(["npm", "--version"], check=True)
"""


# It is the check that is tested.
@long
@pytest.mark.parametrize(
    ("planted", "reasons", "found"),
    [
        (SKIPS, ["There is no npm here"], []),
        (NEEDS, [], ["The tests ended with status 1."]),
        ("def test_pages():\n    pass", ["no npm"], ["No test was skipped with 'no npm'."]),
    ],
    ids=["skipped", "required", "silent"],
)
def test_bare_run_fails_where_an_optional_program_is_required_or_not_spoken_of(
    tmp_path: Path, planted: str, reasons: list[str], found: list[str]
) -> None:
    script = runpy.run_path(str(BARE))
    script["link_programs"](tmp_path / "programs")
    (tmp_path / "test_planted.py").write_text(planted)

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:django", "--rootdir=.", "."],
        cwd=tmp_path,
        env={"PATH": str(tmp_path / "programs")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert script["problems"](ran.stdout, ran.returncode, reasons) == found, ran.stdout


def test_bare_run_has_none_of_the_optional_programs(tmp_path: Path) -> None:
    script = runpy.run_path(str(BARE))
    script["link_programs"](tmp_path / "programs")

    offered = {path.name for path in (tmp_path / "programs").iterdir()}

    assert {"git", "make"} <= offered
    optional = {"chromium", "npm", "node", "pgbouncer", "postgres", "psql", "pgbench", "gcc", "cc"}
    assert not offered & optional


def test_bare_run_names_tests_that_exist() -> None:
    script = runpy.run_path(str(BARE))

    for named in [*script["TESTS"], *script["SKIPPED"]]:
        path, _, test = named.partition("::")
        assert f"def {test}" in (ROOT / path).read_text()


def test_bare_run_finds_the_python_that_runs_this(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    version = "{}.{}".format(*sys.version_info)

    found = {python.version: python for python in runpy.run_path(str(BARE))["interpreters"]()}

    assert found[version].prefix == Path(sys.base_prefix)
