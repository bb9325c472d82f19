"""SIGTERM at bad moments (G8): while a version is loaded, and during a batch. It drains, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.answers import Answers
from contract.store import Store
from tests.endless import FOR_EVER, publish_loop
from tests.live import (
    Says,
    Service,
    Times,
    Unpickled,
    descendants,
    model_processes,
    once_there,
    publish,
    publish_graph,
    running,
    until,
)
from tests.test_lifecycle import is_draining
from tests.test_server import assert_stopped, refuses

MODEL, PATH = "double", "/models/double/predict"


def slow_fitted_object(store: Store, go: Path) -> None:
    publish(store, MODEL, Unpickled(once_there, go, Times(2.0)), answers=Answers([2.0, 2.0]))


def slow_graph(store: Store, go: Path) -> None:  # it is never ready
    publish_loop(store, MODEL, FOR_EVER)


@pytest.mark.parametrize(
    ("begin", "workers"), [(slow_fitted_object, 2), (slow_graph, 1)], ids=["a fitted object", "a graph"]
)
def test_g8_while_a_version_is_loaded(
    store: Store, tmp_path: Path, begin: Callable[[Store, Path], None], workers: int
) -> None:
    publish_graph(store, MODEL)
    with running(store, load_timeout_s=86_400, drain_s=1, workers=workers, poll_s=0.05) as service:
        until(lambda: service.complaints.count("answers now.") == workers)
        begin(store, tmp_path / "go")
        until(lambda: len(model_processes(service.process.pid)) >= workers)
        family = descendants(service.process.pid)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: is_draining(service))
        answer = asked(service, 1.0)
        assert (answer.status_code, answer.json()["prediction"], answer.json()["version"]) == (200, 2.0, 1)
        assert_stopped(service, service.process.wait(60), family)


def test_g8_when_the_loading_is_over_while_it_drains(store: Store, tmp_path: Path) -> None:
    publish_graph(store, MODEL)
    with running(store, load_timeout_s=86_400, drain_s=3, poll_s=0.05) as service:
        slow_fitted_object(store, tmp_path / "go")
        until(lambda: model_processes(service.process.pid))
        family = descendants(service.process.pid)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: is_draining(service))
        (tmp_path / "go").touch()
        assert asked(service, 1.0).json()["prediction"] == 2.0
        assert_stopped(service, service.process.wait(60), family)


def test_g8_during_a_batch(store: Store, tmp_path: Path) -> None:
    publish(store, MODEL, Says(predict=held(tmp_path)))
    with running(store, drain_s=0.2) as service, ThreadPoolExecutor(11) as pool:
        first = pool.submit(asked, service, 1_001.0)
        until(lambda: together(tmp_path) == [1_001.0])
        others = [pool.submit(asked, service, 1_002.0) for _ in range(10)]
        waiting = f'lectern_requests_in_flight{{model="{MODEL}",version="1"}} 11.0'
        until(lambda: waiting in service.client.get("/metrics").text)
        (tmp_path / "1001").touch()
        assert first.result().json()["prediction"] == 1_001.0
        until(lambda: together(tmp_path) == [1_002.0] * 10)
        family = descendants(service.process.pid)
        ended = pool.submit(service.stop, signal.SIGTERM)
        until(partial(refuses, service))
        assert not any(request.done() for request in others)
        (tmp_path / "1002").touch()
        assert [request.result().json()["prediction"] for request in others] == [1_002.0] * 10
        assert_stopped(service, ended.result(), family)


def held(folder: Path) -> Callable[[Any], Any]:
    """Says what it is asked, once there is a file of the name of each value beyond a thousand."""

    def predict(frame: Any) -> Any:
        import time

        rows = frame["x"].tolist()
        with (folder / "together").open("a") as file:
            file.write(f"{rows}\n")
        while any(x > 1_000 and not (folder / f"{x:g}").exists() for x in rows):
            time.sleep(0.01)
        return frame["x"]

    return predict


def together(folder: Path) -> Any:
    """What was asked last, all at once."""
    return json.loads((folder / "together").read_text().splitlines()[-1])


def asked(service: Service, x: float) -> httpx.Response:
    """An answer on a connection of its own."""
    with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
        return client.post(PATH, json={"x": x})
