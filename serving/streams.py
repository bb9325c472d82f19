"""Streams: rows in any form, answered in any form, while they still come. Memory stays the same however many they are.

the event loop → pipe → a thread that reads rows, asks the model and writes answers → pipe → the event loop
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from contract.answers import Answers
from contract.formats import FORMATS
from serving.limiting.charging import charge_blocking
from serving.loading import Served
from serving.negotiation import asks_for, negotiated
from serving.observed import GONE, Part
from serving.pipes import Abandoned, Spool, Upload
from serving.problems import UNFORESEEN, Problem
from serving.responses import send_problem
from serving.settings import ServeSettings
from serving.tables import Form
from serving.tables.chunk import Chunk
from serving.tables.layout import Layout

log = logging.getLogger("lectern.streams")

_BUFFER_BYTES = 256 << 10
_NOT_PARTIAL = "The parameter 'partial' is for rows as JSON; a stream ends with the first row that does not fit."


async def answer_stream(
    served: Served,
    scope: Scope,
    receive: Receive,
    send: Send,
    request_id: str,
    settings: ServeSettings,
    observe: Callable[[Part], None],
) -> tuple[int, int]:
    """Answer one request whose body or answers are not JSON, and have what is answered observed part by part.

    Return the status (0 where the caller left before the end) and how many rows were answered.
    """
    try:
        body, answers = negotiated(scope["headers"])
        query = scope["query_string"]
        if asks_for("partial", query):
            raise Problem(422, "invalid_request", _NOT_PARTIAL)
        layout = Layout(served, request_id, echo=asks_for("echo", query))
    except Problem as problem:
        return await send_problem(problem, request_id, send), 0
    headers = [(b"content-type", answers.media[0].encode()), *served.headers, (b"x-request-id", request_id.encode())]
    with served.predictor.in_use():
        charge = partial(charge_blocking, scope, asyncio.get_running_loop())
        work = _Work(served, body, answers, layout, settings.max_body_bytes, observe, charge)
        return await work.go(receive, send, headers)


def ask(served: Served, chunk: Chunk) -> Answers:
    """What a version says of the rows of a chunk; for a thread that may wait."""
    runs_code = FORMATS[served.manifest.runtime.format].runs_code  # in a child, which takes JSON
    return served.predictor.answer_blocking(chunk.lists() if runs_code else chunk.columns)


class _Work:
    """One stream, from the first row to the last answer."""

    def __init__(
        self,
        served: Served,
        body: Form,
        answers: Form,
        layout: Layout,
        limit: int,
        observe: Callable[[Part], None],
        charge: Callable[[int], None],
    ) -> None:
        self._served = served
        self._body = body
        self._answers = answers
        self._layout = layout
        self._limit = limit
        self._observe = observe
        self._charge = charge
        self._loop = asyncio.get_running_loop()
        self._upload = Upload(self._loop)
        self._spool = Spool(self._loop)
        self._refusal: Exception | None = None
        self._gone = asyncio.Event()
        self._rows = 0

    async def go(self, receive: Receive, send: Send, headers: list[tuple[bytes, bytes]]) -> tuple[int, int]:
        """Answer, and return the status (0: the caller left) and how many rows were answered."""
        done = asyncio.Event()
        filling = asyncio.create_task(self._fill(receive))
        threading.Thread(target=self._run, args=(done,), name="lectern-stream", daemon=True).start()
        try:
            return await self._send(send, headers), self._rows
        finally:
            self._leave()
            filling.cancel()
            await done.wait()
            self._spool.close()

    async def _fill(self, receive: Receive) -> None:
        await self._upload.fill(receive)
        self._gone.set()
        self._leave()

    def _leave(self) -> None:
        self._upload.abandon()
        self._spool.abandon()

    async def _send(self, send: Send, headers: list[tuple[bytes, bytes]]) -> int:
        part = await self._spool.read()
        if self._gone.is_set():
            return GONE
        if self._refusal is not None:
            return await send_problem(self._refusal, self._layout.request_id, send)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while part and not self._gone.is_set():
            await send({"type": "http.response.body", "body": part, "more_body": True})
            part = await self._spool.read()
        await send({"type": "http.response.body", "body": b""})
        return GONE if self._gone.is_set() else 200

    def _run(self, done: asyncio.Event) -> None:
        """What the thread does."""
        try:
            self._answer()
        except Abandoned:
            pass
        except Exception as error:  # noqa: BLE001  # whatever it is, who asked is told
            self._refusal = error
        self._spool.end()
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waits
            self._loop.call_soon_threadsafe(done.set)

    def _answer(self) -> None:
        sink: Any = self._spool
        writer = self._answers.write(sink, self._layout)
        file = io.BufferedReader(self._upload, _BUFFER_BYTES)
        try:
            with closing(self._body.read(file, self._served.schema, self._limit)) as chunks:  # type: ignore[type-var]
                for chunk in chunks:
                    if chunk.problem and not self._spool.written:
                        raise chunk.problem
                    if chunk.count:
                        self._charge(chunk.count if self._rows else chunk.count - 1)
                        found = ask(self._served, chunk)
                        writer.write(chunk, found)
                        self._rows += chunk.count
                        part = Part(chunk, found, self._layout.request_id)
                        self._loop.call_soon_threadsafe(self._observe, part)
                    if chunk.problem:
                        raise chunk.problem
        except Abandoned:
            raise
        except Exception as error:
            if not self._spool.written:
                raise
            problem = Problem.of(error)
            if problem.code == UNFORESEEN:
                named = self._layout.request_id
                log.error("Request %s failed in an unforeseen way.", named, exc_info=error, extra={"request_id": named})
            writer.fail(problem)
        writer.close()
