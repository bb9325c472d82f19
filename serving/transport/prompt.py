"""Promptness: a request that came whole, and whose answer takes no waiting, is answered before anything else is read.

So is one for which there is no place, however little of it has come.

uvicorn begins a task for each request, which the event loop then has to wake up; that takes longer than many an answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from serving.transport.protocol import Strict

if TYPE_CHECKING:
    from serving.transport.config import Transport

OK, FULL = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 503 Service Unavailable\r\n"


class AtOnce(Protocol):
    """Tells the headers and the body of what is answered without waiting; None for the usual way."""

    def __call__(self, scope: Scope, body: bytes | bytearray) -> bytes | None:
        """The answer to a request that came whole, with the status 200."""
        ...

    def admit(self, scope: Scope) -> bytes | None:
        """The answer to one for which there is no place, with the status 503; else one is kept for it."""
        ...


class Prompt(Strict):
    """Has requests answered at once where that can be, else as uvicorn does."""

    def __init__(
        self,
        config: Transport,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._at_once = config.at_once
        self._reading = False
        self._next: tuple[RequestResponseCycle, Any] | None = None
        """What is to be begun once all that has come is read."""
        self._known: list[tuple[bytes, bytes]] = []
        self._begin = {OK: b"", FULL: b""}
        """How answers begin, with the headers that are known to be uvicorn's at the moment."""

    def data_received(self, data: bytes) -> None:
        """Read on; then answer at once, or begin to."""
        self._reading = True
        super().data_received(data)
        self._reading = False
        if self._next is not None:
            (cycle, app), self._next = self._next, None
            if app is not self.app or not self._is_answered(cycle):
                self._start_asgi_task(cycle, app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._reading:
            self._next = cycle, app  # of two the second stands for the refusal of the first
        else:
            super()._start_asgi_task(cycle, app)

    def _is_answered(self, cycle: RequestResponseCycle) -> bool:
        is_usual = cycle.keep_alive and not (cycle.waiting_for_100_continue or cycle.disconnected)
        if not is_usual or self._at_once is None or self.flow.write_paused or self.transport.is_closing():
            return False
        scope = cast("Scope", cycle.scope)
        if not cycle.more_body and (answer := self._at_once(scope, cycle.body)) is not None:
            self._answer(cycle, OK, answer)
        elif (refusal := self._at_once.admit(scope)) is not None:
            cycle.body.clear()
            self._answer(cycle, FULL, refusal)
        else:
            return False
        return True

    def _answer(self, cycle: RequestResponseCycle, status: bytes, answer: bytes) -> None:
        if self._known is not self.server_state.default_headers:
            self._known = self.server_state.default_headers
            lines = b"".join(b"%b: %b\r\n" % header for header in self._known)
            self._begin = {status: status + lines for status in self._begin}
        self.transport.write(self._begin[status] + answer)
        cycle.response_started = cycle.response_complete = True
        self.on_response_complete()
