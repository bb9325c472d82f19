"""Drift of a running service: all workers' rows together, also after one died; who is told, and what is kept."""

from __future__ import annotations

import os
import signal
import sqlite3
from typing import Any

import httpx
import pytest

from contract.store import Store
from tests.counted import MODEL, drawn, publish_counted
from tests.live import Service, descendants, publish_graph, running, until
from tests.test_drift_webhook import listening
from tests.test_server import command_line, two

DRIFT = f"/models/{MODEL}/drift"
PAGE = {"accept": "text/html"}


def send(service: Service, requests: int, moved: float = 0.0, *, first: int = 0) -> None:
    """Send 50 rows at a time, each time on a connection of its own, so that every worker gets some."""
    for seed in range(first, first + requests):
        rows = drawn(50, seed=seed + 1, moved=moved)
        httpx.post(f"{service.url}/models/{MODEL}/predict", json=rows, trust_env=False).raise_for_status()


def everywhere(service: Service, **wanted: Any) -> bool:
    """Whether every worker that happens to answer says so."""
    found = [httpx.get(f"{service.url}{DRIFT}?window=time", trust_env=False).json() for _ in range(12)]
    return all(one[name] == value for one in found for name, value in wanted.items())


@pytest.mark.slow
def test_workers_tell_of_all_rows_and_one_of_them_tells_of_alarms(store: Store) -> None:
    publish_counted(store)
    with listening() as listener, running(store, logged=True, workers=2, drift_webhook=listener.url) as service:
        until(lambda: service.complaints.count("answers now") == 2)
        send(service, 30)
        until(lambda: everywhere(service, rows=1_500, state="steady"))
        assert listener.heard == []

        first, _ = until(lambda: two([child for child in descendants(service.process.pid) if command_line(child)]))
        os.kill(first, signal.SIGKILL)
        until(lambda: service.complaints.count("answers now") == 3)
        until(lambda: everywhere(service, rows=1_500, state="steady"))

        send(service, 24, moved=1, first=100)
        until(lambda: everywhere(service, rows=2_700, state="drifted"))
        until(lambda: listener.heard)
        (_, _, body), *others = listener.heard
        assert (body["model"], body["version"], body["page"]) == (MODEL, 1, f"{DRIFT}?version=1")
        assert {field["name"] for field in body["fields"]} <= {"x", "prediction"}

        alarm = f'lectern_drift_alarm{{field="x",model="{MODEL}",version="1"}} 1.0'
        until(lambda: alarm in httpx.get(f"{service.url}/metrics", trust_env=False).text)
        send(service, 4, moved=1, first=200)
        until(lambda: everywhere(service, rows=2_900))
        assert len(listener.heard) <= 2, others  # the second one says that the output has joined
        shown = service.client.get(DRIFT, headers=PAGE).text
        assert "2 of 2 inputs and outputs have moved away from the baseline" in shown
        assert service.stop(signal.SIGTERM) == 0
        assert "Traceback" not in service.complaints


def test_what_was_counted_is_kept_and_shown_after_a_restart(store: Store) -> None:
    publish_counted(store)
    with running(store, logged=True) as service:
        send(service, 6)
        until(lambda: service.get(DRIFT)["rows"] == 300)
        assert "Index since" not in service.client.get(DRIFT, headers=PAGE).text
        service.stop()
    with sqlite3.connect(store.root / ".log" / "predictions.sqlite") as database:
        ((model, version, rows, counts),) = database.execute("SELECT model, version, rows, counts FROM field_counts")
    database.close()
    assert (model, version, rows) == (MODEL, 1, 300)
    assert '"prediction": [' in counts
    with running(store, logged=True) as service:
        send(service, 6, moved=1)
        until(lambda: service.get(DRIFT)["rows"] == 300)
        shown = service.client.get(DRIFT, headers=PAGE).text
        assert shown.count("Index since") == 2
        assert "<polyline" in shown


def test_every_model_has_a_page_of_drift_which_says_why_there_is_none(store: Store) -> None:
    publish_counted(store)
    publish_graph(store, "plain")
    with running(store) as service:
        until(lambda: service.get("/health")["status"] == "ready")
        for model in (MODEL, "plain"):
            assert f'href="../models/{model}/drift"' in service.client.get(f"/models/{model}", headers=PAGE).text
        assert service.client.get("/models/plain/drift").json()["code"] == "no_baseline"
        plain = service.client.get("/models/plain/drift", headers=PAGE)
        assert (plain.status_code, "made without counts" in plain.text) == (200, True)
        waiting = service.client.get(DRIFT, headers=PAGE).text
        assert "0 rows came so far; 200 are needed" in waiting
        for path, code in ((f"{DRIFT}?version=9", "version_not_found"), ("/models/nobody/drift", "model_not_found")):
            assert service.get(path)["code"] == code
        assert service.client.get(f"{DRIFT}?window=week").status_code == 422
        assert service.client.get(DRIFT).headers["vary"] == "accept"
        assert "/models/{model}/drift" in service.get("/openapi.json")["paths"]
