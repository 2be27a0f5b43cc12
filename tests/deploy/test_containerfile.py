"""What the image is made of, and that its steps and its .dockerignore do what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import copy_context, ignored, image_command, stages
from tests.support.processes import ROOT, run


def test_every_stage_has_a_pinned_base_of_the_right_python() -> None:
    assert len(stages()) == 3
    for stage in stages():
        assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", stage.base)


def test_packages_are_the_hashed_ones() -> None:
    (install,) = (run for run in stages()[0].all("RUN") if "pip install" in run)

    assert "--require-hashes -r /tmp/requirements.lock" in install
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^[a-z0-9-]+(?:\[\w+\])?==\S+", lock, re.MULTILINE)
    assert len(pinned) > 20
    assert lock.count("--hash=sha256:") > len(pinned)


def test_image_runs_as_a_number_that_is_not_root() -> None:
    last = stages()[-1]

    assert last.all("USER") == ["10001:10001"]
    assert last.all("RUN") == []  # nothing was made as root after the files were copied
    assert last.all("HEALTHCHECK") == ["NONE"]


def test_image_holds_no_secret() -> None:
    for stage in stages():
        assert stage.all("ARG") == []
        for name in stage.environment:
            assert not re.search("KEY|SECRET|PASSWORD|TOKEN|DATABASE", name)
    # What a step is given goes no further than its own line.
    (collect,) = (run for run in stages()[1].all("RUN") if "SECRET_KEY=" in run)
    assert "collectstatic" in collect


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".local/demo.env",
        "deploy/secrets/secret_key",
        ".env",
        "config/.env",
        "checkout/__pycache__/x.pyc",
        "tests/conftest.py",
        "secrets.txt",
        "docs/architecture.md",
    ],
)
def test_build_is_not_given(path: str) -> None:
    assert ignored(path)


def test_build_is_given_what_it_copies() -> None:
    assert not ignored("requirements.lock")
    assert not ignored("checkout/locale/de/LC_MESSAGES/django.po")
    assert not ignored("templates/checkout/cart.html")


def test_gunicorn_knows_the_options_of_the_command() -> None:
    result = run(
        [sys.executable, "-m", *image_command(), "--check-config"],
        os.environ | {"SECRET_KEY": "x" * 60, "DATABASE_URL": "postgres://x@127.0.0.1/x"},
    )

    assert result.returncode == 0, result.stderr


def test_steps_of_the_build_leave_words_static_files_and_bytecode(tmp_path: Path) -> None:
    build = stages()[1]
    shop, static = tmp_path / "shop", tmp_path / "static"
    copy_context(build, shop)
    words = shop / "checkout" / "locale" / "de" / "LC_MESSAGES" / "django.mo"
    words.unlink()

    for step in build.all("RUN"):
        subprocess.run(
            ["sh", "-c", step],
            cwd=shop,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "STATIC_ROOT": str(static),
            },
            check=True,
            capture_output=True,
        )

    committed = ROOT / words.relative_to(shop)
    assert words.read_bytes() == committed.read_bytes()
    assert (static / "checkout" / "shop.css").exists()
    assert (static / "admin" / "css" / "base.css").exists()
    assert list((shop / "payments" / "worker" / "__pycache__").glob("worker.*.pyc"))
