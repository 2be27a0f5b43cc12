"""Alerts and graphs name metrics that there are, and every alert has its page.

Prometheus itself is not asked: the expressions are taken apart here, and each name in them must be
a metric of ours, one of its labels, or a word of PromQL's that they use.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from checkout.runtime import metrics
from tests.deploy.templates import resources
from tests.support.processes import ROOT
from tests.support.runbook import pages

RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"

PROMQL = {"max", "sum", "count", "rate", "increase", "time", "absent", "histogram_quantile"}
PROMQL |= {"by", "on", "unless", "or"}

SAMPLES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def exported() -> dict[str, set[str]]:
    """The name of every sample → its labels."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            for suffix in SAMPLES[metric._type or ""]:
                labels = {*metric._labelnames, *(["le"] if suffix == "_bucket" else [])}
                found[metric._name + suffix] = labels
    return found


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def labels_in(expression: str) -> set[str]:
    """Those that are matched or grouped by."""
    matchers = re.findall(r"\{(.*?)\}", expression)
    groups = re.findall(r"\bby \((.*?)\)", expression)
    matched = {name for each in matchers for name in re.findall(r"(\w+)\s*=", each)}
    return matched | {name.strip() for each in groups for name in each.split(",")}


@pytest.mark.parametrize(("title", "expression"), list(expressions()))
def test_every_name_in_an_expression_is_known(title: str, expression: str) -> None:
    samples = exported()
    durations = re.sub(r"\[(\d+[smh]|\$__rate_interval)\]", "", expression)
    bare = re.sub(r'"[^"]*"', '""', durations)
    names = set(re.findall(r"[A-Za-z_$]\w*", bare))

    asked = {name for name in names if name in samples}
    labels = labels_in(bare)

    assert asked, "it asks for no metric of ours"
    assert names - asked - labels - PROMQL == set()
    assert labels <= set.union(*(samples[name] for name in asked))
    assert bare.count("(") == bare.count(")")


def test_every_value_that_a_label_is_matched_with_is_written_by_the_code() -> None:
    code = "".join(
        path.read_text() for app in ("checkout", "payments") for path in (ROOT / app).rglob("*.py")
    )
    matched = {
        value
        for _, expression in expressions()
        for values in re.findall(r'=~?"([^"]+)"', expression)
        for value in values.split("|")
    }

    assert len(matched) > 5
    assert {value for value in matched if not re.search(rf'["\s]{value}[":(]', code)} == set()


def test_every_alert_says_what_is_wrong_and_where_its_page_is() -> None:
    found = {page.anchor: page for page in pages()}
    for rule in rules():
        path, _, anchor = rule["annotations"]["runbook"].partition("#")

        assert path == "docs/runbook.md"
        assert rule["annotations"]["summary"].endswith((".", "?"))
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["alert"] in found[anchor].alerts, rule["alert"]


def pages_of_alarms() -> dict[str, set[str]]:
    """The name of each alarm at CloudWatch → the pages that its description names."""
    alarms = resources("alarms", "AWS::CloudWatch::Alarm")
    links = re.compile(r"docs/runbook\.md#([\w-]+)")
    return {name: set(links.findall(each["AlarmDescription"])) for name, each in alarms.items()}


def test_every_page_has_its_alert_and_every_alarm_its_page() -> None:
    told = {page.anchor: set(page.alerts) for page in pages()}
    alarms = pages_of_alarms()

    assert set().union(*told.values()) == {rule["alert"] for rule in rules()} | set(alarms)
    for anchor, names in told.items():
        assert {name for name in names if name.endswith("Alarm")} == {
            name for name, anchors in alarms.items() if anchor in anchors
        }
    assert set().union(*alarms.values()) == set(told)
    assert [anchor for anchor, names in told.items() if not names - set(alarms)] == []


def test_alarm_wakes_somebody_where_the_alert_of_its_page_does() -> None:
    severities: dict[str, set[str]] = {}
    for rule in rules():
        anchor = rule["annotations"]["runbook"].partition("#")[2]
        severities.setdefault(anchor, set()).add(rule["labels"]["severity"])
    severities["a-customer-withdraws"] = severities["an-order-needs-a-person"]
    severities["the-database-is-a-backup"] = severities["lost-orders-and-strangers"]

    alarms = resources("alarms", "AWS::CloudWatch::Alarm")
    topics = {"page": "PageTopic", "ticket": "TicketTopic"}
    for name, anchors in pages_of_alarms().items():
        allowed = {topics[each] for anchor in anchors for each in severities[anchor]}
        [told] = alarms[name]["AlarmActions"]
        assert told["Ref"] in allowed, name
        assert alarms[name]["OKActions"] == [told]


def test_graphs_show_every_part_of_the_way_of_an_order() -> None:
    shown = {name for _, expression in expressions() for name in re.findall(r"\w+", expression)}

    assert {
        *("shop_orders_placed_total", "shop_resubmissions_absorbed_total"),
        *("shop_outbox_age_seconds", "shop_publish_seconds_bucket"),
        *("shop_order_paid_seconds_bucket", "shop_payment_outcomes_total"),
        *("shop_payment_attempts_sum", "shop_dead_letters", "shop_leases_expired_total"),
        *("shop_webhooks_total", "shop_alive_timestamp_seconds"),
    } <= shown
