"""The edge: all connections of one process; how many there may be, and one timer that looks after them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from serving.draining import Draining
from serving.negotiation import too_large
from serving.problems import Problem
from serving.settings import ServeSettings
from serving.transport.hosts import Hosts

if TYPE_CHECKING:
    from serving.transport.protocol import Strict

RESERVE = 64
"""Connections beyond the limit, for whoever looks after the service; the oldest of them gives way to a new one."""
RESERVE_S = 2.0
OF_ADDRESS = 500
"""Connections that one address may have, where addresses tell callers apart."""
_LOOK_EVERY_S = 1.0


class Edge:
    """What the connections of a process share. Their clock stands still between two looks: reading it costs, too."""

    def __init__(self, settings: ServeSettings, most: int, refused: Counter[str], draining: Draining) -> None:
        """Begin without a connection.

        Args:
            settings: of the service.
            most: connections that may be open; the system may allow fewer than the settings do.
            refused: counts by code what is not taken.
            draining: says whether the service is about to end.
        """
        self.hosts = Hosts.of(settings)
        self.most, self.most_each = most, _most_of_address(settings)
        self.most_body_bytes = settings.max_body_bytes
        self.most_head_bytes, self.most_headers = settings.max_head_bytes, settings.max_headers
        self.most_url_bytes = settings.max_url_bytes
        self.head_s, self.body_s = settings.head_timeout_s, settings.body_timeout_s
        self.answer_s, self.keep_alive_s = settings.answer_timeout_s, settings.keep_alive_s
        self.refused, self.draining = refused, draining
        self.now = 0.0
        """When it was looked last, by the loop's clock."""
        self._open: dict[Strict, str] = {}
        self._of_address: Counter[str] = Counter()
        self._reserve: dict[Strict, None] = {}
        self._every_s = min(_LOOK_EVERY_S, self.head_s / 4, self.body_s / 4, self.answer_s / 4, self.keep_alive_s / 4)
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, protocol: Strict) -> None:
        """Take a connection; one too many is answered only if it asks how the service is."""
        self.now = protocol.loop.time()
        protocol.due = self.now + self.head_s
        address = protocol.client[0] if protocol.client else ""
        self._open[protocol] = address
        self._of_address[address] += 1
        if len(self._open) > self.most or (self.most_each and self._of_address[address] > self.most_each):
            self._crowd(protocol)
        if self._timer is None:
            self._timer = protocol.loop.call_later(self._every_s, self._look, protocol.loop)

    def leave(self, protocol: Strict) -> None:
        """Forget a connection."""
        address = self._open.pop(protocol)
        self._reserve.pop(protocol, None)
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    def body_too_large(self) -> Problem:
        """The problem of a body that is too large for where it was sent."""
        return too_large(self.most_body_bytes)

    def no_room(self) -> Problem:
        """The problem of a connection too many."""
        told = "Too many connections are open; close some, or come back later."
        return Problem(503, "too_many_connections", told, headers={"retry-after": "5"})

    def _crowd(self, protocol: Strict) -> None:
        protocol.crowded, protocol.head_s = True, min(RESERVE_S, self.head_s)
        protocol.due = self.now + protocol.head_s
        self._reserve[protocol] = None
        if len(self._reserve) > RESERVE:
            oldest = next(iter(self._reserve))
            del self._reserve[oldest]
            self.refused["too_many_connections"] += 1
            oldest.transport.abort()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time()
        self._timer = loop.call_later(self._every_s, self._look, loop) if self._open else None
        for protocol in tuple(self._open):
            protocol.look(self.now)


def _most_of_address(settings: ServeSettings) -> int | None:
    if settings.address_connections or settings.local or settings.trusted_proxies:
        return settings.address_connections
    return OF_ADDRESS
