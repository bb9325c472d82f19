"""The life of a server: it answers, drains, finishes what it is at, and ends.

SIGTERM: not ready, but all are answered for a while → no new connections, what runs is finished → ended
Ctrl-C:  no new connections, what runs is finished → ended          a second signal: ended at once
"""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import time
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from serving.transport.config import Transport

_LAST_S = 0.2
"""How long connections are read once no new ones are taken: the request of the last one may be on its way."""


class Server(uvicorn.Server):
    """uvicorn's server, with an end that loses no request."""

    config: Transport

    def __init__(self, config: Transport) -> None:
        super().__init__(config)
        config.timeout_graceful_shutdown = math.ceil(config.settings.finish_s)
        self._drain_s = config.settings.drain_s
        self._until: float | None = None
        """When it is drained; None where nobody told it to."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as signals have it
        """Do what a signal says."""
        self._captured_signals.append(sig)
        if self.should_exit or self._until is not None:
            self.should_exit = self.force_exit = True
        elif sig == signal.SIGTERM:
            self.drain()
        else:
            self.should_exit = True

    def drain(self) -> None:
        """Have nobody come any more, and answer whoever does; for a while."""
        if self._until is None:
            self._until = time.monotonic() + self._drain_s

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether it is time to end."""
        leaving = await super().on_tick(counter)
        if self._until is None:
            return leaving
        self.config.edge.draining.begin()
        return leaving or time.monotonic() >= self._until

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what runs."""
        self.config.edge.draining.begin()
        for server in self.servers:
            server.close()
        if self._until is not None and not self.force_exit:
            await asyncio.sleep(_LAST_S)
        await super().shutdown(sockets)
