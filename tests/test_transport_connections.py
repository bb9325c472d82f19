"""serving.transport: connections among each other, over real sockets, before an application that says what came."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from serving.draining import Draining
from serving.responses import send_body
from serving.settings import ServeSettings
from serving.transport.config import Transport
from serving.transport.edge import RESERVE
from serving.transport.protocol import MOST_PIPELINED, Strict
from tests.live import until
from tests.raw import Caller, chunked, request, said

GET = request("GET", "/health", body=None)


class Says:
    """An application that answers with the names of the headers, and how large the body was."""

    at_once = None

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        sheet = SimpleNamespace(refused=self.refused)
        self.registry = SimpleNamespace(observation=SimpleNamespace(sheet=sheet), draining=Draining())
        self.begun: list[str] = []
        self.ended: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request once its body is there; `/early` at once."""
        self.begun.append(scope["path"])
        size, more = 0, scope["path"] != "/early"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ended.append("gone")
                return
            size, more = size + len(message["body"]), message["more_body"]
        said = {"names": [name.decode() for name, _ in scope["headers"]], "size": size}
        await send_body(200, b"application/json", json.dumps(said).encode(), [], send)
        self.ended.append("answered")


class Served:
    """Where an application is reached, with what its connections share."""

    def __init__(self, app: Says, config: Transport) -> None:
        self.app, self.config = app, config
        self.url = ""


@contextmanager
def serving(**settings: Any) -> Iterator[Served]:
    """Serve it in a thread, with these settings."""
    config = Transport(app := Says(), ServeSettings(**settings), lifespan="off")
    config.load()
    served, state = Served(app, config), ServerState()
    loop = uvloop.new_event_loop()
    over = asyncio.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    served.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def serve() -> None:
        async with await loop.create_server(lambda: Strict(config, state, {}), sock=listener):
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        yield served
        until(lambda: not state.connections)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(head_timeout_s=0.5, body_timeout_s=0.5, keep_alive_s=0.5, answer_timeout_s=0.5) as found:
        yield found


def test_what_follows_a_body_never_becomes_a_header(served: Served) -> None:
    heard = said(
        served.url, chunked([b"1\r\nx\r\n", b"0\r\nHost: evil\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"]), answers=1
    )
    found = json.loads(heard.bodies[0])
    assert found == {"names": ["host", "content-type", "transfer-encoding"], "size": 1}


def test_a_request_that_is_refused_never_reaches_the_application(served: Served) -> None:
    before = len(served.app.begun)
    assert said(served.url, GET.replace(b"localhost", b"evil.example")).statuses == [421]
    assert said(served.url, GET.replace(b"HTTP/1.1", b"HTTP/2.0")).statuses == [400]
    assert len(served.app.begun) == before


def test_whoever_waits_for_a_body_that_is_refused_is_told_that_nothing_comes(served: Served) -> None:
    before = len(served.app.ended)
    assert said(served.url, chunked([b"1\r\nx\r\n", b"what?\r\n"])).refusal == ([400], "bad_request", True)
    assert said(served.url, request()[:-1]).refusal == ([408], "body_too_slow", True)
    until(lambda: served.app.ended[before:] == ["gone", "gone"])


def test_a_body_that_comes_steadily_may_take_long(served: Served) -> None:
    with Caller(served.url) as caller:
        caller.send(request(body=b"x" * 1_000)[:-1_000])
        for _ in range(20):
            caller.send(b"x" * 50)
            threading.Event().wait(0.1)
        assert caller.hear(answers=1).statuses == [200]


def test_the_rest_of_a_body_that_nobody_read_is_not_the_next_request(served: Served) -> None:
    inner = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert said(served.url, request(path="/early", body=inner) + GET, answers=2).statuses == [200, 200]
    assert "/smuggled" not in served.app.begun


def test_a_body_that_is_not_wanted_any_more_ends_the_connection_before_its_deadline() -> None:
    with serving(body_timeout_s=600, keep_alive_s=600) as served:
        expecting = request("POST", "/early", "Expect: 100-continue", "Content-Length: 7", body=None)
        heard = said(served.url, expecting)  # whether the body will come nobody knows
        assert (heard.statuses, heard.closed) == ([200], True)
        heard = said(served.url, request("POST", "/early", "Content-Length: 90000000", body=None) + b"x" * 5_000_000)
        assert (heard.statuses, heard.closed) == ([200], True)


def test_a_connection_takes_only_so_many_requests_ahead(served: Served) -> None:
    heard = said(served.url, GET * (MOST_PIPELINED + 50))
    assert heard.refusal == ([200] * (MOST_PIPELINED + 1) + [429], "pipeline_too_long", True)


def test_while_it_drains_every_answer_closes_its_connection() -> None:
    with serving() as served:
        with Caller(served.url) as caller:
            assert "connection" not in caller.send(GET).hear(answers=1).heads[0]
            served.app.registry.draining.begin()
            heard = caller.send(GET).hear()
        assert (heard.statuses, heard.closed, heard.heads[0]["connection"]) == ([200], True, "close")


def test_an_address_has_no_more_than_its_share() -> None:
    with serving(address_connections=2) as served:
        with Caller(served.url) as one, Caller(served.url) as other:
            assert one.send(GET).hear(answers=1).statuses == other.send(GET).hear(answers=1).statuses == [200]
            assert said(served.url, request()).refusal == ([503], "too_many_connections", True)
            assert said(served.url, GET).statuses == [200]
        until(lambda: said(served.url, request(), answers=1).statuses == [200])


def test_the_oldest_of_those_without_room_gives_way() -> None:
    with serving(max_connections=1) as served, Caller(served.url) as first:
        assert first.send(GET).hear(answers=1).statuses == [200]
        crowd = [Caller(served.url) for _ in range(RESERVE + 10)]
        assert crowd[0].hear().closed
        assert crowd[-1].send(GET).hear().statuses == [200]
        for caller in crowd:
            caller.socket.close()
        until(lambda: served.app.refused["too_many_connections"] == 10)
