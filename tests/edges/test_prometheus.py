"""Alerts and dashboard: both ask for metrics that there are, promtool understands them, and the handbook has each."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Histogram
from ruamel.yaml import YAML

from agent.edges.metrics import GAUGES, Metrics
from tests.support.dashboard import dashboard_json
from tests.support.needs import cannot_run

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config" / "prometheus"
DASHBOARD = ROOT / "config" / "grafana" / "dashboard.json"
VARIABLES = {"$project": ".*", "$__rate_interval": "1h", "$__range": "1h"}


def rules() -> list[dict[str, Any]]:
    groups = YAML(typ="safe").load(FOLDER / "rules.yaml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        cannot_run("promtool (Debian: prometheus) is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def expressions() -> dict[str, str]:
    """Of the rules and of the dashboard, by where they stand; the dashboard's variables filled in."""
    found = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules()}
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for number, target in enumerate(panel.get("targets", [])):
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            found[f"{panel['title']} {number}"] = text
    return found


def known() -> dict[str, frozenset[str]]:
    """Each series' name and its labels."""
    names = {name: frozenset(labels) for name, (_, labels) in GAUGES.items()}
    names["deploy_agent_build_info"] = frozenset({"version", "project"})
    for collector in Metrics(None, "p").registry._collector_to_names:  # type: ignore[arg-type]  # it is not read
        if isinstance(collector, Counter):
            names[f"{collector._name}_total"] = frozenset(collector._labelnames)
        elif isinstance(collector, Histogram):
            for ending, more in (("sum", ()), ("count", ()), ("bucket", ("le",))):
                names[f"{collector._name}_{ending}"] = frozenset((*collector._labelnames, *more))
    return names


def test_promtool_passes_the_unit_tests():
    promtool("check", "rules", FOLDER / "rules.yaml")
    promtool("test", "rules", FOLDER / "rules.test.yaml")


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_tested_both_ways(alert: str):
    tests = YAML(typ="safe").load(FOLDER / "rules.test.yaml")["tests"]
    cases = [one for test in tests for one in test["alert_rule_test"] if one["alertname"] == alert]
    assert {bool(one["exp_alerts"]) for one in cases} == {True, False}


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_what_to_do(alert: str):
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor == alert.lower()
    assert f"\n### {alert}\n" in (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("place", expressions())
def test_only_metrics_and_labels_that_there_are(place: str):
    series = known()
    expr = expressions()[place]
    used = set(re.findall(r"\bdeploy_agent_\w+", expr))
    assert used or "up{" in expr
    assert used <= set(series)
    for name, chosen in re.findall(r"\b(deploy_agent_\w+)\{([^}]*)\}", expr):
        assert set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", chosen)) <= series[name], name


def test_every_expression_can_be_parsed(tmp_path: Path):
    """As recording rules: promtool reads those."""
    recorded = [{"record": f"r{number}", "expr": one} for number, one in enumerate(expressions().values())]
    path = tmp_path / "all.yaml"
    path.write_text(json.dumps({"groups": [{"name": "all", "rules": recorded}]}))
    promtool("check", "rules", path)


def test_the_dashboard_is_in_step():
    """Otherwise run `python -m tests.support.generated`."""
    assert DASHBOARD.read_text(encoding="utf-8") == dashboard_json()


def test_every_panel_says_what_it_shows():
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    for panel in board["panels"]:
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["targets"], panel["title"]
    assert "$" not in " ".join(expressions().values()), "a variable that is not filled in here"
