"""serving.lifecycle: how a service ends, so that nobody loses an answer who could have had one."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from contract.store import Store
from tests.live import HANGS, WAITS, Service, Times, publish, publish_graph, running, until


@contextmanager
def caller(service: Service) -> Iterator[httpx.Client]:
    """A client with connections of its own."""
    with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
        yield client


def is_draining(service: Service) -> bool:
    with caller(service) as client:
        return bool(client.get("/health/ready").status_code == 503)


def test_while_it_drains_it_answers_everybody_and_wants_nobody(store: Store) -> None:
    publish_graph(store, "double")
    with running(store, drain_s=3) as service, caller(service) as kept:
        answer = kept.post("/predict", json={"x": 1})
        assert "connection" not in answer.headers
        service.process.send_signal(signal.SIGTERM)
        until(lambda: is_draining(service))
        with caller(service) as fresh:
            for client in (kept, fresh):
                answer = client.post("/predict", json={"x": 1})
                assert (answer.json()["prediction"], answer.headers["connection"]) == (2.0, "close")
            assert fresh.get("/health/ready").json()["status"] == "draining"
            assert fresh.get("/health").json()["detail"].startswith("The service is ending: ")
            assert fresh.get("/health/live").status_code == 200
        assert service.process.wait(60) == 0
        assert service.printed.splitlines()[-1] == "Stopped."


def test_fifty_requests_in_flight_are_answered(store: Store, tmp_path: Path) -> None:
    publish(store, "triple", Times(3.0, tmp_path))
    with running(store, drain_s=0.2) as service, ThreadPoolExecutor(50) as pool:
        asked = in_flight(service, pool, tmp_path, 50)
        os.killpg(service.process.pid, signal.SIGTERM)  # also the processes of models, as some systems do
        until(lambda: refuses(service))
        assert not any(request.done() for request in asked)
        (tmp_path / "go").touch()
        assert [request.result().json()["prediction"] for request in asked] == [3 * WAITS] * 50
        assert service.process.wait(60) == 0


def test_what_cannot_be_finished_gets_503(store: Store, tmp_path: Path) -> None:
    publish(store, "triple", Times(3.0, tmp_path))
    with running(store, drain_s=0, finish_s=1) as service, ThreadPoolExecutor(5) as pool:
        asked = in_flight(service, pool, tmp_path, 5)
        service.process.send_signal(signal.SIGTERM)
        for request in asked:
            answer = request.result()
            assert (answer.status_code, answer.json()["code"]) == (503, "draining")
            assert answer.headers["retry-after"] == "1"
        assert service.process.wait(60) == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(store: Store, how: signal.Signals) -> None:
    publish(store, "triple", Times(3.0))
    with running(store, drain_s=600, finish_s=600, predict_timeout_s=600) as service, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.predict, {"x": HANGS})
        until(lambda: 'in_flight{model="triple",version="1"} 1.0' in service.client.get("/metrics").text)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: is_draining(service))
        service.process.send_signal(how)
        assert service.process.wait(60) == 0
        assert lost(asked)
        assert service.complaints == "lectern: triple version 1 answers now.\n"


def in_flight(service: Service, pool: ThreadPoolExecutor, notes: Path, number: int) -> list[Future[httpx.Response]]:
    """Requests that the model works on until the file `go` is there, or that wait for it."""

    def ask() -> httpx.Response:
        with caller(service) as client:
            return client.post("/predict", json={"x": WAITS})

    asked = [pool.submit(ask) for _ in range(number)]
    waiting = f'lectern_requests_in_flight{{model="triple",version="1"}} {number}.0'
    until(lambda: waiting in service.client.get("/metrics").text)
    assert (notes / "asked").exists()
    return asked


def refuses(service: Service) -> bool:
    """Whether it takes no more connections."""
    try:
        with caller(service) as client:
            client.get("/health/live")
    except httpx.TransportError:
        return True
    return False


def lost(asked: Future[httpx.Response]) -> bool:
    """Whether the connection of a request was closed, or it was told that the service ends."""
    try:
        return asked.result().status_code == 503
    except httpx.TransportError:
        return True
