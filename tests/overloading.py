"""More requests than a service can answer: so many a second, whatever becomes of those before them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from contract.store import Store
from tests.endless import publish_loop
from tests.live import Service, descendants, publish

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
    statuses: Counter[str] = field(default_factory=Counter)
    """Requests by status and, where it is an error, its code; or by how the connection failed."""
    refused_s: list[float] = field(default_factory=list)
    """How long each of those took that were refused."""
    health: Counter[int] = field(default_factory=Counter)
    """Looks at the service's health by their status."""

    @property
    def goodput(self) -> float:
        """Requests a second that were answered."""
        return self.statuses["200"] / self.seconds


def overload(service: Service, model: str, seconds: float, connections: int, rate: float = float("inf")) -> Outcome:
    """Ask a model on so many connections, `rate` times a second in all, or as often as it answers."""
    return asyncio.run(_overload(service, model, seconds, connections, rate))


async def _overload(service: Service, model: str, seconds: float, connections: int, rate: float) -> Outcome:
    found, address = Outcome(), urlsplit(service.url)
    content = json.dumps(BODIES[model]).encode()
    host = f"Host: {address.netloc}\r\n"
    post = f"POST /models/{model}/predict HTTP/1.1\r\n{host}Content-Type: application/json\r\n"
    request = f"{post}Content-Length: {len(content)}\r\n\r\n".encode() + content
    began = time.monotonic()

    async def ask(number: int) -> None:
        due, every_s = began + number / rate, connections / rate
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        while (now := time.monotonic()) < began + seconds:
            if now < due:
                await asyncio.sleep(due - now)
                continue
            due = max(due + every_s, now)
            asked = time.monotonic()
            writer.write(request)
            try:
                status, body = await _answer(reader)
            except (OSError, asyncio.IncompleteReadError) as error:
                found.statuses[type(error).__name__] += 1
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
                continue
            if status == 503:
                found.refused_s.append(time.monotonic() - asked)
            found.statuses[str(status) if status == 200 else f"{status} {json.loads(body)['code']}"] += 1
        writer.close()

    async def look() -> None:
        while time.monotonic() < began + seconds:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(f"GET /health/ready HTTP/1.1\r\n{host}\r\n".encode())
            found.health[(await _answer(reader))[0]] += 1
            writer.close()
            await asyncio.sleep(0.2)

    await asyncio.gather(look(), *(ask(number) for number in range(connections)))
    found.seconds = time.monotonic() - began
    return found


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(size)


def resident_bytes(service: Service) -> int:
    """The memory of all processes of a service."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _family(service)]
    return 4096 * sum(pages)


def _family(service: Service) -> Sequence[int]:
    return [service.process.pid, *descendants(service.process.pid)]
