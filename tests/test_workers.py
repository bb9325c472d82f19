"""serving.workers: workers come and go, and only who asked one that was killed notices."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from contract.errors import StartFailed
from contract.store import Store
from serving.listening import listening
from serving.settings import ServeSettings
from serving.workers import Supervisor
from tests.live import Service, Times, descendants, model_processes, processes, publish, publish_graph, running, until

ROLLED = "All workers are new ones."


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    """Two workers, each with a model inside and one in a process of its own."""
    publish_graph(store, "double")
    publish(store, "triple", Times(3.0))
    with running(store, workers=2, default_model="double", silent_worker_s=1, drain_s=0.3) as found:
        until(lambda: found.complaints.count("answers now.") == 4)
        yield found


def workers(service: Service) -> list[int]:
    """The processes of both, once there are two."""
    return until(lambda: two(children(service)))


def children(service: Service) -> list[int]:
    """The processes that its supervisor began, of which each is a worker once it answers."""
    own = service.process.pid
    return [child for child, parent in processes().items() if parent == own]


def two(found: list[int]) -> list[int]:
    return found if len(found) == 2 else []


@contextmanager
def callers(service: Service, number: int, requests: int = 0) -> Iterator[Counter[str]]:
    """Clients that ask and ask, on connections that they keep; what they got is counted, at least so many in all."""
    found, stop = Counter[str](), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
            while not stop.is_set():
                try:
                    found[str(client.post("/predict", json={"x": 1}).status_code)] += 1
                except httpx.TransportError as error:
                    found[f"{type(error).__name__}: {error}"] += 1

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield found
        until(lambda: found.total() >= requests)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def follows(service: Service, otherwise: str, condition: Callable[[], bool], within_s: float) -> None:
    """Wait a little for what a signal should bring about."""
    try:
        until(condition, within_s=within_s)
    except AssertionError:
        pytest.fail(f"{within_s} s after SIGHUP {otherwise}; the service said:\n{service.complaints}", pytrace=False)


def test_a_rolling_restart_loses_no_request(service: Service) -> None:
    before = workers(service)
    with callers(service, 4, 1_000) as got:
        until(lambda: got["200"] > 50)
        service.process.send_signal(signal.SIGHUP)
        follows(service, "no new worker has begun", lambda: len(children(service)) > 2, 15)
        follows(service, "not all workers are new ones", lambda: ROLLED in service.complaints, 60)
        follows(service, "a worker that was replaced lives on", lambda: not set(before) & set(processes()), 30)
    assert set(got) == {"200"}
    assert not set(before) & set(workers(service))
    assert (service.stop(signal.SIGTERM), service.printed.splitlines()[-1]) == (0, "Stopped.")


def test_a_worker_that_is_stuck_is_replaced_and_the_others_answer(service: Service) -> None:
    stuck, other = workers(service)
    os.kill(stuck, signal.SIGSTOP)
    until(lambda: f"Worker {stuck} is stuck and is ended." in service.complaints)
    until(lambda: stuck not in processes())
    assert f"Worker {stuck} ended (SIGKILL); another one takes its place." in until(
        lambda: service.complaints if "takes its place" in service.complaints else ""
    )
    assert other in workers(service)
    until(lambda: service.complaints.count("answers now.") == 6)
    with callers(service, 2, 20) as got:
        pass
    assert set(got) == {"200"}
    until(lambda: 'lectern_worker_deaths_total{reason="crash"} 1.0' in service.client.get("/metrics").text)


def test_no_worker_and_no_model_outlives_the_supervisor(service: Service) -> None:
    family = descendants(service.process.pid)
    assert len(model_processes(service.process.pid)) == 2
    service.process.kill()
    service.process.wait(60)
    until(lambda: not set(family) & set(processes()))


def test_a_second_signal_ends_all_of_them_at_once(store: Store) -> None:
    publish_graph(store, "double")
    with running(store, workers=2, drain_s=600) as service:
        family = descendants(service.process.pid)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: all_drain(service))
        assert service.stop(signal.SIGTERM) == 0
        until(lambda: not set(family) & set(processes()))


def all_drain(service: Service) -> bool:
    def ready() -> bool:
        with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
            return bool(client.get("/health/ready").status_code == 200)

    return not any(ready() for _ in range(10))


def test_where_no_worker_can_begin_it_says_so_and_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        os._exit(9)

    monkeypatch.setattr("serving.workers.live", fails)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    settings = ServeSettings(store=str(store.root), port=0, workers=2)
    told = r"^No worker could begin \(exit code 9\); what is written above says why\.$"
    try:
        with listening(settings) as listener, pytest.raises(StartFailed, match=told):
            Supervisor(settings, listener).run()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
