"""serving.patience: who says how long it waits is told in time, and costs no work that nobody waits for."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from contract.store import Store
from serving.patience import HEADER, patience
from serving.problems import Problem
from tests.live import WAITS, Service, Times, model_processes, publish, publish_graph, running, until

NAME = HEADER.decode()


def test_the_header_is_a_number_of_milliseconds_or_not_there() -> None:
    assert patience([(b"accept", b"*/*")]) == math.inf
    assert patience([(b"accept", b"*/*"), (HEADER, b"250")]) == 0.25


@pytest.mark.parametrize(
    "value", [b"", b"0", b"-1", b"1.5", b"soon", b"1e3", b" 5", b"9999999999", "²".encode("latin-1")]
)
def test_anything_else_is_refused(value: bytes) -> None:
    with pytest.raises(
        Problem, match=r"^The header X-Request-Timeout-Ms is a whole number of milliseconds, from 1 to 999,999,999\.$"
    ):
        patience([(HEADER, value)])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A model in a process, held up by a file, and a graph."""
    notes = tmp_path_factory.mktemp("patience")
    store = Store(notes / "store")
    publish(store, "triple", Times(3.0, notes))
    publish_graph(store, "double")
    with running(store) as found:
        until(lambda: found.complaints.count("answers now.") == 2)
        yield found, notes


def ask(service: Service, x: float, milliseconds: int, model: str = "triple", rows: int = 1) -> httpx.Response:
    with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
        body = {"x": x} if rows == 1 else [{"x": x}] * rows
        return client.post(f"/models/{model}/predict", json=body, headers={NAME: str(milliseconds)})


def test_what_has_expired_is_answered_at_its_time_and_never_asked(service: tuple[Service, Path]) -> None:
    found, notes = service
    (notes / "asked").unlink(missing_ok=True)
    [process] = model_processes(found.process.pid)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, found, WAITS, 60_000)
        until((notes / "asked").exists)
        late = ask(found, 21.0, 100)
        assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
        assert late.json()["detail"].startswith("The model did not answer within 0.")
        last = pool.submit(ask, found, 22.0, 60_000)
        until(lambda: 'in_flight{model="triple",version="1"} 2.0' in found.client.get("/metrics").text)
        (notes / "go").touch()
        assert first.result().json()["prediction"] == 3 * WAITS
        assert last.result().json()["prediction"] == 66.0
    assert "21.0" not in (notes / "asked").read_text()
    assert model_processes(found.process.pid) == [process]  # it was not at fault


def test_a_large_body_is_not_even_read_when_it_is_too_late(service: tuple[Service, Path]) -> None:
    answer = ask(service[0], 1.0, 1, "double", rows=10_000)
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert len(ask(service[0], 1.0, 60_000, "double", rows=10_000).json()["predictions"]) == 10_000


def test_a_bad_header_is_refused(service: tuple[Service, Path]) -> None:
    answer = service[0].client.post("/models/triple/predict", json={"x": 1}, headers={NAME: "soon"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_timeout")
