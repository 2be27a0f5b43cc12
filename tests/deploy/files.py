"""Reads what lies in deploy/, as an engine would."""

import fnmatch
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import ROOT

DEPLOY = ROOT / "deploy"


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def services() -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"]
    return found


def of_the_shop() -> dict[str, Any]:
    return {name: service for name, service in services().items() if "build" in service}


@dataclass(frozen=True)
class Instruction:
    word: str
    rest: str


@dataclass(frozen=True)
class Stage:
    base: str
    name: str
    instructions: list[Instruction]

    def all(self, word: str) -> list[str]:
        return [found.rest for found in self.instructions if found.word == word]

    @property
    def environment(self) -> dict[str, str]:
        return dict(rest.split("=", 1) for rest in self.all("ENV"))


def stages() -> list[Stage]:
    found: list[Stage] = []
    for line in (DEPLOY / "Containerfile").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name, []))
        else:
            found[-1].instructions.append(Instruction(word, rest))
    return found


def image_command() -> list[str]:
    [command] = stages()[-1].all("CMD")
    words: list[str] = json.loads(command)
    return words


def ignored(path: str) -> bool:
    """By .dockerignore: the last pattern that matches decides, a folder stands for its files."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parts = path.split("/")
        parents = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        anywhere = pattern.startswith("**/")
        names = parts if anywhere else parents
        if any(
            fnmatch.fnmatchcase(name, pattern.removeprefix("**/"))
            for name in names
            if anywhere or pattern.count("/") == name.count("/")
        ):
            verdict = not line.startswith("!")
    return verdict


def copy_context(stage: Stage, target: Path) -> None:
    """What the stage copies from the build's context."""
    for rest in stage.all("COPY"):
        if rest.startswith("--from="):
            continue
        source, name = rest.split()
        files = [path for path in (ROOT / source).rglob("*") if path.is_file()] or [ROOT / source]
        for file in files:
            relative = file.relative_to(ROOT)
            if not ignored(str(relative)):
                copy = (
                    target
                    / name
                    / (relative.relative_to(source) if file != ROOT / source else source)
                )
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)


def explained_settings() -> set[str]:
    """The settings of the table in docs/configuration.md."""
    table = (ROOT / "docs" / "configuration.md").read_text().partition("| Setting | Default |")[2]
    rows = [line.split("|")[1] for line in table.partition("\n\n")[0].splitlines()[2:]]
    return {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
