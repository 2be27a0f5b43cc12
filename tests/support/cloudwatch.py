"""Reads log lines as CloudWatch does: those in the embedded metric format become figures."""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any

from checkout.orders.operations import cloudwatch
from config.logging import JsonFormatter

NAMESPACE = "once"  # the templates' default

# CloudWatch API Reference, "MetricDatum": those that the shop uses.
UNITS = {"Count", "Seconds"}


@dataclass(frozen=True)
class Figure:
    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    value: float
    milliseconds: int


def figures(lines: Iterable[str]) -> list[Figure]:
    """The figures of all lines that are in the format; the others are none of CloudWatch's."""
    documents = (json.loads(line) for line in lines if line.startswith("{") and '"_aws"' in line)
    return [figure for document in documents for figure in figures_of(document)]


def figures_of(document: dict[str, Any]) -> Iterator[Figure]:
    """Asserts what the specification asks for ("Specification: Embedded metric format")."""
    metadata = document["_aws"]
    assert set(metadata) == {"Timestamp", "CloudWatchMetrics"}
    assert type(metadata["Timestamp"]) is int
    assert metadata["Timestamp"] > 10**12, "milliseconds are meant"
    for directive in metadata["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert isinstance(directive["Namespace"], str)
        assert 0 < len(directive["Metrics"]) <= 100
        assert directive["Dimensions"], "there is one set at least, which may be empty"
        for names in directive["Dimensions"]:
            assert len(names) <= 30
            dimensions = frozenset((name, document[name]) for name in names)
            assert all(isinstance(value, str) and value for _, value in dimensions)
            for metric in directive["Metrics"]:
                assert set(metric) == {"Name", "Unit"}
                assert metric["Unit"] in UNITS
                value = document[metric["Name"]]
                assert type(value) in (int, float)
                yield Figure(
                    directive["Namespace"],
                    metric["Name"],
                    dimensions,
                    value,
                    metadata["Timestamp"],
                )


@contextmanager
def written() -> Iterator[list[str]]:
    """The lines that this process writes meanwhile, as they stand in a log. The process begins
    anew, as far as CloudWatch knows. The list is filled at the end."""
    lines: list[str] = []
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("{asctime}{levelname}{name}{message}", style="{"))
    cloudwatch.forget_what_was_told()
    cloudwatch.logger.addHandler(handler)
    try:
        yield lines
    finally:
        cloudwatch.logger.removeHandler(handler)
        lines += stream.getvalue().splitlines()
