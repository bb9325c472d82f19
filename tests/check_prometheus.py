"""`make check-prometheus`: a real Prometheus reads a live service, and answers what dashboard and alerts ask."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from contract.deploying import Deployer
from contract.promotions import CHALLENGER
from contract.store import Store
from tests.dashboards import ALERTS, ALERTS_TEST, CONFIG, alerts, queries
from tests.live import PATIENCE_S, ROOT, Service, Times, publish, publish_graph, running, until

UNPACKED = ROOT / "build" / "prometheus" / "usr" / "bin"
_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}{UNPACKED}"
_EMPTY = {
    "Alarms",
    "Drift alarms",
    "Loads that failed",
    "Predicted classes",
    "Refused for how often",
    "Rows unlike all that was seen",
    "Stability index by field",
    "Swaps",
}
"""What shows nothing as long as nothing is wrong or changes, or of models of another kind."""


def program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    assert found, f"there is no {name}; make check-prometheus brings it"
    return found


@pytest.mark.parametrize("arguments", [("config", CONFIG), ("rules", ALERTS)])
def test_the_files_are_what_prometheus_takes(arguments: tuple[str, Path]) -> None:
    kind, path = arguments
    subprocess.run([program("promtool"), "check", kind, path], check=True)


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    subprocess.run([program("promtool"), "test", "rules", ALERTS_TEST], check=True)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with models of both kinds, a challenger that answers copies, and some requests."""
    store = Store(tmp_path_factory.mktemp("watched") / "store")
    for factor in (2.0, 2.0):
        publish_graph(store, "double", factor)
    publish(store, "triple", Times(3.0))
    deployer = Deployer(store, "somebody", lambda _: None)
    deployer.promote("double", 1)
    deployer.promote("double", 2, alias=CHALLENGER)
    deployer.traffic("double", shadow=True)
    with running(store, logged=True, workers=2, default_model="double") as found:
        for _ in range(20):
            for path in ("/predict", "/models/triple/predict"):
                assert found.predict([{"x": 1}, {"x": 2}], path).status_code == 200
            assert found.predict({"x": "no"}).status_code == 422
        yield found


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[httpx.Client]:
    """A Prometheus that reads a target every second."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    (folder / CONFIG.name).write_text(yaml.safe_dump(config))
    shutil.copy(ALERTS, folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    places = [f"--config.file={folder / CONFIG.name}", f"--storage.tsdb.path={folder / 'data'}"]
    command = [program("prometheus"), *places, f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE_S) as client:
                until(lambda: _ready(client) or process.poll() is not None)
                yield client
        finally:
            process.terminate()


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def asked(client: httpx.Client, path: str, **query: str) -> Any:
    answer = client.get(f"/api/v1/{path}", params=query).json()
    assert answer["status"] == "success", answer
    return answer["data"]


def test_it_reads_a_service_and_answers_all_that_is_asked(service: Service, tmp_path: Path) -> None:
    with prometheus(tmp_path, service.url.removeprefix("http://")) as client:
        [target] = until(
            lambda: [one for one in asked(client, "targets")["activeTargets"] if one["health"] != "unknown"]
        )
        assert (target["health"], target["lastError"]) == ("up", "")
        [group] = until(lambda: [one for one in asked(client, "rules")["groups"] if one["rules"][-1]["lastEvaluation"]])
        assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in alerts()]
        until(lambda: {one["health"] for one in asked(client, "rules")["groups"][0]["rules"]} == {"ok"})
        until(lambda: int(_value(client, 'count_over_time(up{job="lectern"}[1m])')) > 5)  # enough for a rate
        assert _value(client, 'sum(lectern_requests_total{model="double", status="2xx"})') == 20
        assert _value(client, 'sum(lectern_rows_total{model="triple"})') == 40
        assert asked(client, "alerts")["alerts"] == []
        rules = {rule["alert"] for rule in alerts()}
        empty = {where for where, query in queries() if not asked(client, "query", query=query)["result"]}
        assert empty - rules <= _EMPTY
        service.stop()
        until(lambda: _value(client, 'up{job="lectern"}') == 0)
        until(lambda: [one["labels"]["alertname"] for one in asked(client, "alerts")["alerts"]] == ["LecternDown"])


def _value(client: httpx.Client, query: str) -> float:
    found = asked(client, "query", query=query)["result"]
    return float(found[0]["value"][1]) if found else 0.0
