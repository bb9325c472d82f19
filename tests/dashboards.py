"""What is asked of Prometheus: the queries of the dashboard and of the alerts, as files in `deploy` have them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.live import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
CONFIG, ALERTS, ALERTS_TEST = (FOLDER / name for name in ("prometheus.yml", "alerts.yml", "alerts_test.yml"))
DASHBOARD = ROOT / "deploy" / "grafana" / "lectern.json"
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$model": ".*", "$version": ".*"}
"""What Grafana puts in the place of each variable."""


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    """What it shows, without the headings."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def alerts() -> list[dict[str, Any]]:
    """The rules by which somebody is told."""
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def queries() -> Iterator[tuple[str, str]]:
    """Each query of either with where it is from, as Prometheus is asked it."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], _asked(target["expr"])
    for note in dashboard()["annotations"]["list"]:
        yield note["name"], _asked(note["expr"])


def _asked(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def metrics(query: str) -> set[str]:
    """The names of the metrics that a query is about."""
    return {*re.findall(r"\b(lectern_\w+|up)\b", re.sub(r'"[^"]*"', '""', query))}
