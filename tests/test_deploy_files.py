"""The files in deploy: what they ask Prometheus for is what a service tells, and whoever is woken reads what to do."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as families

from contract.store import Store
from serving.app import create_app
from serving.settings import ServeSettings
from tests.dashboards import ALERTS, ALERTS_TEST, CONFIG, alerts, dashboard, metrics, panels, queries
from tests.live import ROOT

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
MODEL_LABELS = {
    "model",
    "version",
    "alias",
    "status",
    "instance",
    "le",
    "field",
    "prediction",
    "code",
    "outcome",
    "reason",
}
LABELS = MODEL_LABELS | {"champion", "challenger", "method", "route", "job", "python", "alertname"}


@pytest.fixture
def told(store: Store) -> set[str]:
    """The names of all that a service tells Prometheus."""
    app = create_app(ServeSettings(store=store.root, prediction_log="none"))

    async def ask() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return (await client.get("/metrics")).text

    found = families(asyncio.run(ask()))
    return {family.name + suffix for family in found for suffix in SUFFIXES[family.type]} | {"up"}


def test_every_metric_that_is_asked_for_is_told(told: set[str]) -> None:
    asked = [(where, query) for where, query in queries() if not metrics(query) <= told]
    assert not asked
    assert all(metrics(query) for _, query in queries())


def test_every_metric_that_is_told_is_shown_or_watched(told: set[str]) -> None:
    asked = {name for _, query in queries() for name in metrics(query)}
    unseen = {re.sub("_(bucket|count|sum)$", "", name) for name in told} - {
        re.sub("_(bucket|count|sum)$", "", name) for name in asked
    }
    assert not unseen


def test_every_metric_that_is_told_is_in_the_docs(told: set[str]) -> None:
    section = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8").partition("\n## Metrics\n")[2]
    named = {*re.findall(r"`(lectern_\w+)`", section.partition("\n## ")[0])}
    assert named == {re.sub("_(bucket|count|sum)$", "", name) for name in told - {"up"}}


def test_every_label_is_one_that_there_is() -> None:
    for where, query in queries():
        grouped = ",".join(re.findall(r"\b(?:by|without) \(([^)]*)\)", query)).replace(" ", "").split(",")
        matched = re.findall(r"(\w+)=~?\"", query)
        assert {*grouped, *matched} - {""} <= LABELS, where


def test_each_alert_says_what_to_do_and_is_tried() -> None:
    tried = yaml.safe_load(ALERTS_TEST.read_text(encoding="utf-8"))["tests"]
    firing = {sample["labels"] for sample in tried[-1]["promql_expr_test"][0]["exp_samples"]}
    for rule in alerts():
        summary = rule["annotations"]["summary"]
        assert rule["alert"].startswith("Lectern")
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert len(summary) > 60
        assert summary.endswith((".", "?"))
        assert f'{{alertname="{rule["alert"]}"}}' in firing
        assert {"alertname": rule["alert"], "eval_time": "25m"} in tried[0]["alert_rule_test"]
    assert yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["rule_files"] == [ALERTS.name]


def test_the_dashboard_is_laid_out_without_gaps_in_what_it_says() -> None:
    found = dashboard()
    numbers = [panel["id"] for panel in found["panels"]]
    assert len({*numbers}) == len(numbers)
    places = set[tuple[int, int]]()
    for panel in found["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & places, panel["title"]
        assert place["x"] + place["w"] <= 24
        places |= cells
    sources = {variable["name"] for variable in found["templating"]["list"]}
    assert sources == {"datasource", "instance", "model", "version"}
    for panel in panels():
        assert panel["description"].endswith(".")
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert {*re.findall(r"\$(\w+)", target["expr"])} <= sources | {"__rate_interval"}
    rows = [panel["title"] for panel in found["panels"] if panel["type"] == "row"]
    assert rows == [
        "At a glance",
        "Traffic",
        "Errors",
        "Latency by version",
        "Drift",
        "Shadow",
        "Prediction log",
        "Service",
    ]
