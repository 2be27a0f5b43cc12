"""A small CloudWatch: says which alarms of a template ring, for a shop that writes such figures.

It knows what the template uses (CloudWatch User Guide, "Using Amazon CloudWatch alarms" and "Using
math expressions with CloudWatch metrics"): one figure or an expression of figures, a statistic over
a period, and an alarm that rings when each of its last periods breaches. CloudWatch looks further
back than that where data is missing; this one does not.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.cloudwatch import Figure

MINUTE = 60
MISSING = math.nan

STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Maximum": max,
    "Minimum": min,
    "Sum": sum,
    "SampleCount": len,
}
COMPARISONS = {
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
}


@dataclass(frozen=True)
class Metric:
    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    def of(self, figures: Sequence[Figure]) -> list[float]:
        key = (self.namespace, self.name, self.dimensions)
        return [
            each.value for each in figures if (each.namespace, each.name, each.dimensions) == key
        ]


@dataclass(frozen=True)
class Minutes:
    """What was written in each minute up to now: the same for so many minutes, and before that what
    a healthy shop writes."""

    now: Sequence[Figure]
    lasting: int
    before: Sequence[Figure]

    def values(self, metric: Metric, seconds: int, ago: int) -> list[float]:
        """What was written of a metric in one period; the last one is 0 periods ago."""
        length = seconds // MINUTE
        lasting = min(max(self.lasting - ago * length, 0), length)
        return metric.of(self.now) * lasting + metric.of(self.before) * (length - lasting)


class Alarms:
    def __init__(self, template: dict[str, Any], exported: Mapping[str, str]) -> None:
        """`exported` has what other stacks give: its name without the shop's → its value."""
        self._parameters = {name: each["Default"] for name, each in template["Parameters"].items()}
        self._exported = exported
        self.by_name: dict[str, dict[str, Any]] = {
            name: each["Properties"]
            for name, each in template["Resources"].items()
            if each["Type"] == "AWS::CloudWatch::Alarm"
        }

    @property
    def namespace(self) -> str:
        return str(self._parameters["ShopName"])

    def ringing(self, minutes: Minutes) -> set[str]:
        return {name for name, alarm in self.by_name.items() if self._rings(alarm, minutes)}

    def metrics(self) -> set[Metric]:
        """All that are asked for."""
        stats = [self._stats(alarm) for alarm in self.by_name.values()]
        return {metric for each in stats for metric, _, _ in each.values()}

    def _rings(self, alarm: dict[str, Any], minutes: Minutes) -> bool:
        periods = range(alarm["EvaluationPeriods"])
        return all(self._breaches(alarm, minutes, ago) for ago in periods)

    def _breaches(self, alarm: dict[str, Any], minutes: Minutes, ago: int) -> bool:
        values = {
            id_: statistic(stat, minutes.values(metric, seconds, ago))
            for id_, (metric, stat, seconds) in self._stats(alarm).items()
        }
        value = calculated(self._expression(alarm), values)
        if math.isnan(value):
            return {"breaching": True, "notBreaching": False}[alarm["TreatMissingData"]]
        threshold = float(self._resolved(alarm["Threshold"]))
        return bool(COMPARISONS[alarm["ComparisonOperator"]](value, threshold))

    def _stats(self, alarm: dict[str, Any]) -> dict[str, tuple[Metric, str, int]]:
        """Id → metric, statistic and period."""
        if "MetricName" in alarm:
            return {"only": (self._metric(alarm), alarm["Statistic"], alarm["Period"])}
        stats = [
            (each["Id"], each["MetricStat"]) for each in alarm["Metrics"] if "MetricStat" in each
        ]
        return {
            id_: (self._metric(each["Metric"]), each["Stat"], each["Period"]) for id_, each in stats
        }

    def _expression(self, alarm: dict[str, Any]) -> str:
        if "MetricName" in alarm:
            return "only"
        [expression] = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
        return self._resolved(expression)

    def _metric(self, written: dict[str, Any]) -> Metric:
        dimensions = {
            (each["Name"], self._resolved(each["Value"])) for each in written.get("Dimensions", [])
        }
        namespace = self._resolved(written["Namespace"])
        return Metric(namespace, written["MetricName"], frozenset(dimensions))

    def _resolved(self, value: Any) -> str:
        match value:
            case {"Ref": name}:
                return str(self._parameters[name])
            case {"Fn::ImportValue": {"Fn::Sub": name}}:
                return self._exported[name.removeprefix("${ShopName}-")]
            case {"Fn::Sub": text}:
                for name, parameter in self._parameters.items():
                    text = text.replace(f"${{{name}}}", str(parameter))
                return str(text)
            case _:
                return str(value)


def statistic(name: str, values: Sequence[float]) -> float:
    if not values:
        return MISSING
    return float(STATISTICS[name](values))


def calculated(expression: str, values: Mapping[str, float]) -> float:
    """Missing where something in it is missing, and after a division by zero."""

    def fill(value: float, instead: float) -> float:
        return instead if math.isnan(value) else value

    def choose(condition: bool, one: float, other: float) -> float:
        return one if condition else other

    functions = {"IF": choose, "FILL": fill, "__builtins__": {}}
    try:
        # The few expressions of the template are Python's as well.
        return float(eval(expression, functions, dict(values)))
    except ZeroDivisionError:
        return MISSING
