"""Whoever is woken finds what it means: each alert has a runbook entry, a test, and a place where both are named."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from relay.metrics import REGISTRY

DEPLOY = Path(__file__).parents[2] / "deploy"
RUNBOOK = (DEPLOY / "RUNBOOK.md").read_text()
PARTS = ("- **Means:** ", "- **See:** ", "- **Do:** ")


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def alerts() -> dict[str, dict[str, Any]]:
    groups = loaded(DEPLOY / "helm" / "rules" / "alerts.yml")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def entries() -> dict[str, str]:
    """Return the runbook's entries by their title."""
    _, *found = re.split(r"^### (?=Relay\w+$)", RUNBOOK, flags=re.MULTILINE)
    return {entry.split("\n", 1)[0]: entry.split("\n", 1)[1] for entry in found}


def test_every_alert_has_an_entry_and_no_entry_is_left_over() -> None:
    assert list(entries()) == list(alerts())


def test_an_entry_says_what_it_means_how_to_see_it_and_what_to_do() -> None:
    lacking = [(name, part) for name, entry in entries().items() for part in PARTS if part not in entry]
    assert not lacking


def test_an_alert_says_how_urgent_it_is_what_has_happened_and_where_to_read_on() -> None:
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"] == f"deploy/RUNBOOK.md#{name.lower()}"


def test_every_alert_is_made_to_fire_by_a_test() -> None:
    tests = chain.from_iterable(loaded(path)["tests"] for path in (DEPLOY / "prometheus" / "tests").glob("*.yml"))
    expected = chain.from_iterable(test.get("alert_rule_test", []) for test in tests)
    assert {case["alertname"] for case in expected if case["exp_alerts"]} == set(alerts())


def test_what_the_runbook_asks_of_prometheus_is_there() -> None:
    known = {family.name for family in REGISTRY.collect()}
    asked = {name.removesuffix("_total") for name in re.findall(r"\brelay_[a-z_]+", RUNBOOK)}
    assert asked - known == set()


def test_every_metric_has_its_place_on_the_dashboard() -> None:
    files = (DEPLOY / "grafana" / "relay.json", DEPLOY / "helm" / "rules" / "recording.yml")
    shown = "\n".join(path.read_text() for path in files)
    names = [family.name for family in REGISTRY.collect() if family.name.startswith("relay_")]
    parts = r"(_total|_info|_bucket|_count|_sum)?\b"
    assert len(names) > 20
    assert [name for name in names if not re.search(rf"\b{name}{parts}", shown)] == []
