"""A package that is named as a gateway and is none is refused with the reason."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from config.environment import Environment
from config.gateways import gateway_packages, read_settings
from payments.checks import check_callers, check_gateways


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> str:
    """A package of this test's own, by its name."""
    name = f"gateway_of_{folder.name}".replace("-", "_")
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    for module, source in modules.items():
        (folder / name / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    return name


def refused(monkeypatch: pytest.MonkeyPatch, value: str) -> str:
    monkeypatch.setenv("PAYMENT_GATEWAYS", value)
    with pytest.raises(ImproperlyConfigured) as found:
        read_all(Environment())
    return str(found.value)


def read_all(env: Environment) -> None:
    for each in gateway_packages(env, "stripe").values():
        read_settings(env, each)


def test_package_without_settings_is_said_to_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = package(tmp_path, monkeypatch)

    assert f"{name} has no module settings" in refused(monkeypatch, f"mine={name}")
    assert "there is no package no_such" in refused(monkeypatch, "mine=no_such.gateway")


@pytest.mark.parametrize(
    "source",
    ["", "read = None", "def read(env):\n    return {}"],
    ids=["no read", "no function", "a dict"],
)
def test_settings_that_are_none_are_told_how_they_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    name = package(tmp_path, monkeypatch, settings=source)

    assert "no function read(env) that returns GatewaySettings" in refused(
        monkeypatch, f"mine={name}"
    )


def test_name_that_is_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = "stripe,stripe=payments.gateways.example"

    assert "names stripe twice" in refused(monkeypatch, twice)


def test_module_that_cannot_be_loaded_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    source = "import no_library_of_mine\n"
    name = package(tmp_path, monkeypatch, web=source, client=source)
    settings.PAYMENT_GATEWAYS = {"mine": name}

    found = [*check_gateways(None), *check_callers(None)]

    assert [message.id for message in found] == ["payments.E011", "payments.E014"]
    assert all("No module named 'no_library_of_mine'" in message.msg for message in found)
