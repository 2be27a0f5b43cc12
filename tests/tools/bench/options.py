import sys
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    quick: bool = False
    tiny: bool = False  # for a test that keeps the code alive

    @property
    def size(self) -> str:
        return self.pick(quick="quick", full="full", tiny="tiny")

    def pick(self, *, quick: T, full: T, tiny: T | None = None) -> T:
        if self.tiny and tiny is not None:
            return tiny
        return quick if self.quick or self.tiny else full

    def say(self, what: str) -> None:
        """On a terminal alone."""
        if sys.stderr.isatty():
            print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)
