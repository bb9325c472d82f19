"""Promptness: a request that came whole, and whose answer takes no waiting, is answered before anything else is read.

uvicorn begins a task for each request, which the event loop then has to wake up; that takes longer than many an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from serving.transport.protocol import Strict

if TYPE_CHECKING:
    from serving.transport.config import Transport

Answer = Callable[[Scope, bytes | bytearray], bytes | None]
"""Of a request's scope and body the headers and the body of its answer, with the status 200; None for the usual way."""


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
        self._answer_at_once = config.at_once
        self._reading = False
        self._next: tuple[RequestResponseCycle, Any] | None = None
        """What is to be begun once all that has come is read."""
        self._known: list[tuple[bytes, bytes]] = []
        self._begin = b""
        """How an answer begins, with the headers that are known to be uvicorn's at the moment."""

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
        is_usual = cycle.keep_alive and not (cycle.more_body or cycle.waiting_for_100_continue or cycle.disconnected)
        if not is_usual or self._answer_at_once is None or self.flow.write_paused or self.transport.is_closing():
            return False
        answer = self._answer_at_once(cast("Scope", cycle.scope), cycle.body)
        if answer is None:
            return False
        if self._known is not self.server_state.default_headers:
            self._known = self.server_state.default_headers
            self._begin = b"".join([b"HTTP/1.1 200 OK\r\n", *(b"%b: %b\r\n" % header for header in self._known)])
        self.transport.write(self._begin + answer)
        cycle.response_started = cycle.response_complete = True
        self.on_response_complete()
        return True
