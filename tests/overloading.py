"""More requests than a service can answer: so many a second, whatever becomes of those before them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from contract.store import Store
from tests.endless import publish_loop
from tests.live import Service, descendants, publish

ASK_EVERY_S = 0.001
TURNS = 4_000.0
"""Of the graph's loop: some milliseconds, beside those for the body."""
BODIES: dict[str, Any] = {"slow": {"x": 1.0}, "wide": [{"x": TURNS}] * 1_000}
"""What each model is asked: one row of a fitted object, and a thousand of a graph."""


class Slow:
    """Multiplies x by two, and takes two milliseconds for each row."""

    def predict(self, frame: Any) -> Any:
        """One product a row."""
        import time

        time.sleep(0.002 * len(frame))
        return frame["x"] * 2


def publish_both(store: Store) -> None:
    """Make a version of each model."""
    publish(store, "slow", Slow())
    publish_loop(store, "wide")


@dataclass
class Outcome:
    """What became of the requests."""

    seconds: float = 0.0
    """For how long it was counted how many are answered."""
    answered: int = 0
    """Those that were answered in this time."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Requests by status and, where it is an error, its code; or by how the connection failed."""
    refused_s: list[float] = field(default_factory=list)
    """How long each of those took that were refused."""
    late_s: list[float] = field(default_factory=list)
    """How much later than it was time each was sent: what is late there is not the service."""
    health: Counter[int] = field(default_factory=Counter)
    """Looks at the service's health by their status."""

    @property
    def goodput(self) -> float:
        """Requests a second that were answered while others came."""
        return self.answered / self.seconds


def overload(
    service: Service, model: str, seconds: float, connections: int, rate: float = float("inf"), filled_s: float = 0.0
) -> Outcome:
    """Ask a model `rate` times a second, each time on a connection that is free, or as often as one is.

    Args:
        service: that has the model.
        model: of `BODIES`.
        seconds: for which it is asked.
        connections: that ask.
        rate: requests a second.
        filled_s: after which what the service has room for is full, and it is counted how many are answered.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_overload(service, model, seconds, connections, rate, filled_s))


async def _overload(
    service: Service, model: str, seconds: float, connections: int, rate: float, filled_s: float
) -> Outcome:
    found, address = Outcome(), urlsplit(service.url)
    content = json.dumps(BODIES[model]).encode()
    host = f"Host: {address.netloc}\r\n"
    post = f"POST /models/{model}/predict HTTP/1.1\r\n{host}Content-Type: application/json\r\n"
    crowd = Crowd(f"{post}Content-Length: {len(content)}\r\n\r\n".encode() + content, rate, found)
    loop = asyncio.get_running_loop()

    async def connect() -> None:
        await loop.create_connection(lambda: Caller(crowd), address.hostname or "", address.port or 80)

    async def look() -> None:
        while not crowd.over:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(f"GET /health/ready HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode())
            found.health[int((await reader.read()).split()[1])] += 1
            writer.close()
            await asyncio.sleep(0.2)

    for _ in range(connections):
        await connect()
    looking = asyncio.create_task(look())
    began = crowd.due = time.monotonic()
    counted_from, before = None, 0
    while (now := time.monotonic()) < began + seconds:
        if counted_from is None and now >= began + filled_s:
            counted_from, before = now, found.statuses["200"]
        crowd.ask()
        for _ in range(crowd.lost):
            await connect()
            crowd.lost -= 1
        await asyncio.sleep(ASK_EVERY_S)
    assert counted_from is not None
    found.seconds, found.answered = time.monotonic() - counted_from, found.statuses["200"] - before
    crowd.over = True
    while len(crowd.free) + crowd.lost < connections:  # noqa: ASYNC110  # for some milliseconds
        await asyncio.sleep(ASK_EVERY_S)
    for caller in crowd.free:
        caller.transport.close()
    await looking
    return found


class Crowd:
    """Callers, of whom one that is free asks whenever it is time."""

    def __init__(self, request: bytes, rate: float, found: Outcome) -> None:
        self.request, self.found = request, found
        self.free: deque[Caller] = deque()
        self.lost = 0
        """Connections that ended."""
        self.over = False
        self.due = 0.0
        """When it is time for the next request."""
        self._every_s = 1 / rate

    def ask(self) -> None:
        """Send all requests for which it is time, as far as somebody is free."""
        now = time.monotonic()
        while self.free and self.due <= now and not self.over:
            self.found.late_s.append(now - self.due)
            self.free.popleft().ask(now)
            self.due += self._every_s


class Caller(asyncio.Protocol):
    """One connection; as little is done for a request as can be, so that the callers are not what is slow."""

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._asked: float | None = None
        self._answer = bytearray()
        self._size = -1
        """How long the answer is, once that is known."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be free."""
        self.transport = cast("asyncio.Transport", transport)
        self._crowd.free.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Say so; whoever closes it at the end is not told."""
        if self._crowd.over and self._asked is None:
            return
        if self._asked is None:
            self._crowd.free.remove(self)
        self._crowd.found.statuses[type(error).__name__ if error else "closed"] += 1
        self._crowd.lost += 1

    def ask(self, now: float) -> None:
        """Send the request."""
        self._asked = now
        self.transport.write(self._crowd.request)

    def data_received(self, data: bytes) -> None:
        """Note the answer once it is whole, and be free."""
        answer = self._answer
        answer += data
        if self._size < 0 and (end := answer.find(b"\r\n\r\n")) >= 0:
            self._size = end + 4 + int(answer[:end].lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(answer) != self._size or self._asked is None:
            return
        status, found = answer[9:12].decode(), self._crowd.found
        if status == "503":
            found.refused_s.append(time.monotonic() - self._asked)
        found.statuses[status if status == "200" else f"{status} {_code(answer)}"] += 1
        self._answer, self._size, self._asked = bytearray(), -1, None
        self._crowd.free.append(self)
        self._crowd.ask()


def _code(answer: bytearray) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["code"])


def resident_bytes(service: Service) -> int:
    """The memory of all processes of a service."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _family(service)]
    return 4096 * sum(pages)


def _family(service: Service) -> Sequence[int]:
    return [service.process.pid, *descendants(service.process.pid)]
