"""The clock is set forth and back by an hour, and the time zone changes (G19): nothing happens."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.deploying import Deployer
from contract.store import Store
from serving.limiting.windows import PARTS
from tests.live import WAITS, Service, Times, descendants, model_processes, publish, publish_graph, running, until
from tests.log_faults import settled
from tests.logged import rows_of
from tests.raw import Caller, request
from tests.stepped import CLOCK

HOUR = 3_600
STEPS = [(HOUR, "Asia/Tokyo"), (0, "America/St_Johns"), (-HOUR, "UTC"), (0, "Pacific/Kiritimati"), (1, "Europe/Berlin")]
LIMIT = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("clock")
    step(found, 0, "UTC")
    return found


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """Two workers with a graph and a fitted object, and whatever goes by the time."""
    store = Store(folder / "store")
    deployer = Deployer(store, "somebody", lambda _: None)
    for factor in range(1, 2 + len(STEPS)):
        publish_graph(store, "double", float(factor))
    deployer.promote("double", 1)
    publish(store, "triple", Times(3.0, folder))
    deployer.promote("triple", 1)
    about: dict[str, Any] = {"default_model": "double", "workers": 2, "silent_worker_s": 5, "keep_alive_s": 600}
    about |= {"log_format": "json", "access_log_share": 1, "log_days": 1}
    command = (sys.executable, "-m", "tests.stepped")
    with running(store, logged=True, command=command, environment={CLOCK: str(folder / "clock")}, **about) as found:
        until(lambda: found.complaints.count("answers now.") == 4)
        yield found
        assert "Traceback" not in found.complaints
        assert {line["level"] for line in lines(found)} == {"INFO"}


def step(folder: Path, seconds: int, zone: str) -> None:
    """Set the clock and the zone, in one go."""
    (folder / "next").write_text(f"{seconds} {zone}")
    (folder / "next").rename(folder / "clock")


def lines(service: Service) -> list[Any]:
    return [json.loads(line) for line in service.complaints.splitlines()]


def test_g19_nothing_happens(service: Service, folder: Path) -> None:
    deployer = Deployer(Store(folder / "store"), "somebody", lambda _: None)
    (folder / "asked").unlink()
    processes, models = (set(found(service.process.pid)) for found in (descendants, model_processes))
    with Caller(service.url) as idle, ThreadPoolExecutor(1) as pool:
        assert idle.send(request()).hear(answers=1).statuses == [200]
        asked = pool.submit(service.predict, {"x": WAITS}, "/models/triple/predict")
        until((folder / "asked").exists)
        for version, (seconds, zone) in enumerate(STEPS, 2):
            step(folder, seconds, zone)
            assert idle.send(request()).hear(answers=1).statuses == [200], seconds
            deployer.promote("double", version)
            until(lambda version=version: service.get("/models/double")["champion"] == version)  # type: ignore[misc]
            assert service.get("/health/ready")["status"] == "ready"
        (folder / "go").touch()
        assert asked.result().json()["prediction"] == 3 * WAITS
    assert set(model_processes(service.process.pid)) >= models
    assert set(descendants(service.process.pid)) >= processes - {service.process.pid}
    told = service.client.get("/metrics").text
    assert re.findall(r"^lectern_worker_deaths_total\{.*\} (.*)$", told, re.MULTILINE) == ["0.0", "0.0"]
    assert settled(service, 2 + len(STEPS))["dropped"] == 0


def test_g19_a_limit_is_the_same(folder: Path) -> None:
    store = Store(folder / "limited")
    publish_graph(store, "double")
    command = (sys.executable, "-m", "tests.stepped")
    clock = {CLOCK: str(folder / "clock")}
    with running(store, command=command, environment=clock, limit_per_caller=f"{LIMIT}/hour") as service:
        answers = [service.predict({"x": 1}).status_code for _ in range(LIMIT + 1)]
        assert answers == [200] * LIMIT + [429]
        for seconds, zone in STEPS:
            step(folder, seconds, zone)
            refused = service.predict({"x": 1})
            assert refused.status_code == 429, seconds
            assert HOUR - 300 < int(refused.headers["retry-after"]) <= HOUR + HOUR // PARTS + 1, seconds


def test_g19_what_is_told_and_kept_is_told_in_utc(service: Service, folder: Path) -> None:
    file = folder / "store" / ".log" / "predictions.sqlite"
    for seconds, zone in ((0, "Pacific/Kiritimati"), (0, "America/St_Johns"), (HOUR, "Asia/Tokyo"), (0, "UTC")):
        step(folder, seconds, zone)
        shown = service.predict({"x": 7}).headers["x-request-id"]
        due = datetime.now(UTC) + timedelta(seconds=seconds)
        until(lambda shown=shown: [line for line in lines(service) if line.get("request_id") == shown])  # type: ignore[misc]
        [line] = [line for line in lines(service) if line.get("request_id") == shown]
        assert line["time"].endswith("Z")
        assert abs(datetime.fromisoformat(line["time"]) - due) < timedelta(minutes=10), zone
        until(lambda shown=shown: kept(file, folder, shown))  # type: ignore[misc]
        assert abs(datetime.fromtimestamp(kept(file, folder, shown)[0] / 1e6, UTC) - due) < timedelta(minutes=10), zone


def kept(file: Path, folder: Path, name: str) -> list[int]:
    """When a prediction was made, by the log."""
    return [int(at) for found, at in rows_of(file, folder / "store", "id, at") if found == name]
