"""Callers who leave before their answer (D20): nothing breaks, and what is counted says that they left."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.types import Message

from contract.store import Store
from serving.prediction import has_left
from tests.live import WAITS, Service, Times, publish, publish_graph, running, until
from tests.logged import rows_of
from tests.raw import Caller, request

ROW, MANY = b'{"x":5}', b'[{"x":5},{"x":1}]'


def close(connection: socket.socket) -> None:
    connection.close()


def half_close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


LEAVES = pytest.mark.parametrize("leave", [close, half_close, reset], ids=lambda leave: leave.__name__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gone")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """A model in a process, which waits for a file, and a graph."""
    store = Store(folder / "store")
    publish(store, "triple", Times(3.0, folder))
    publish_graph(store, "double")
    with running(store, logged=True, default_model="triple") as found:
        until(lambda: found.get("/health")["status"] == "ready")
        yield found
        assert "Traceback" not in found.complaints


@pytest.fixture
def notes(folder: Path) -> Path:
    """Where the model says what it is asked, and waits."""
    for name in ("go", "asked"):
        (folder / name).unlink(missing_ok=True)
    return folder


def counted(service: Service, status: str, model: str = "triple") -> int:
    of = f'model="{model}",status="{status}",version="1"'
    found = re.findall(rf"^lectern_requests_total\{{[^}}]*{of}\}} (\S+)", metrics(service), re.MULTILINE)
    return sum(map(int, map(float, found)))


def marked(folder: Path) -> list[tuple[float, bool]]:
    """The predictions in the log, and whether their callers were gone."""
    file = folder / "store" / ".log" / "predictions.sqlite"
    found = rows_of(file, folder / "store", "prediction, gone") if file.exists() else []
    return [(float(prediction), bool(gone)) for prediction, gone in found]


def metrics(service: Service) -> str:
    return service.client.get("/metrics").text


@LEAVES
@pytest.mark.parametrize("body", [ROW, MANY], ids=["one row", "several rows"])
def test_who_leaves_while_the_model_works_is_counted_as_gone(
    service: Service, notes: Path, leave: Callable[[socket.socket], None], body: bytes
) -> None:
    gone, answered = counted(service, "gone"), counted(service, "2xx")
    with Caller(service.url) as caller:
        caller.send(request(body=body))
        until((notes / "asked").exists)
        leave(caller.socket)
        for _ in range(3):  # the event loop has seen it
            assert service.get("/health/live") == {"live": True}
        (notes / "go").touch()
        until(lambda: counted(service, "gone") == gone + 1)
    assert counted(service, "2xx") == answered
    assert service.predict({"x": WAITS}).json()["prediction"] == 15.0
    until(lambda: counted(service, "2xx") == answered + 1)
    until(lambda: marked(notes)[-1:] == [(15.0, False)])
    lost = [(15.0, True), (3.0, True)][: body.count(b"x")]
    assert marked(notes)[-1 - len(lost) :] == [*lost, (15.0, False)]


@LEAVES
def test_who_leaves_before_the_body_has_come_is_counted_as_gone_and_nothing_is_asked(
    service: Service, notes: Path, leave: Callable[[socket.socket], None]
) -> None:
    for model in ("triple", "double"):
        before = counted(service, "gone", model)
        with Caller(service.url) as caller:
            caller.send(request(path=f"/models/{model}/predict", body=MANY)[:-3])
            until(lambda model=model: f'in_flight{{model="{model}",version="1"}} 1.0' in metrics(service))  # type: ignore[misc]
            leave(caller.socket)
            until(lambda model=model, before=before: counted(service, "gone", model) == before + 1)  # type: ignore[misc]
    assert not (notes / "asked").exists()


@LEAVES
def test_who_leaves_with_a_row_that_is_answered_at_once_is_counted_once(
    service: Service, leave: Callable[[socket.socket], None]
) -> None:
    before = sum(counted(service, status, "double") for status in ("gone", "2xx"))
    with Caller(service.url) as caller:
        leave(caller.send(request(path="/models/double/predict")).socket)
        until(lambda: sum(counted(service, status, "double") for status in ("gone", "2xx")) == before + 1)


@pytest.mark.parametrize(
    ("waits", "kind", "left"),
    [(False, "http.disconnect", True), (False, "http.request", False), (True, "http.disconnect", False)],
)
def test_whoever_waits_for_an_answer_has_not_left(waits: bool, kind: str, left: bool) -> None:
    async def receive() -> Message:
        if waits:
            await asyncio.sleep(0)
        return {"type": kind}

    assert has_left(receive) is left
