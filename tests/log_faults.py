"""What befalls the log of a running service: a lock, a full disk, workers that are killed."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import httpx

from tests.live import Service, descendants, until
from tests.logged import ids_in

ROWS = 10
"""In each request: a thousand rows are a batch, so that a request is in the log whole or not at all."""

_FIRST_BYTES = 16 << 10


class Asker:
    """Asks one request after the other, and keeps what was answered."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.answered: list[list[str]] = []
        self.refused: list[int] = []
        self.lost = 0
        """Requests whose worker died."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _ask(self) -> None:
        rows = [{"x": float(number)} for number in range(ROWS)]
        while not self._stopping.is_set():
            with httpx.Client(base_url=self.service.url, trust_env=False, timeout=60) as client:
                try:
                    for _ in range(20):  # then by another worker, perhaps
                        answer = client.post("/predict", json=rows)
                        if answer.status_code == 200:
                            self.answered.append([row["id"] for row in answer.json()["predictions"]])
                        else:
                            self.refused.append(answer.status_code)
                except httpx.TransportError:
                    self.lost += 1


def counted(service: Service) -> dict[str, int]:
    """How many rows became what, by all workers."""
    text = httpx.get(f"{service.url}/metrics", trust_env=False, timeout=60).text  # on no connection to who was killed
    return {name: int(float(n)) for name, n in re.findall(r'lectern_log_rows_total\{outcome="(\w+)"\} (\S+)', text)}


def settled(service: Service, rows: int) -> dict[str, int]:
    """The same, once there is nothing left to write."""
    return until(lambda: found if sum((found := counted(service)).values()) >= rows else {})


def at_rest(service: Service) -> int:
    """The rows that were counted, once all workers say the same: each knows of the others what they left before."""
    found: list[int] = []
    while len(found) < 6 or len(set(found[-6:])) > 1:
        found.append(sum(counted(service).values()))
        time.sleep(0.1)
    return found[-1]


def kill_workers(service: Service, file: Path, kills: int) -> None:
    """Kill a worker again and again while it answers; what was counted as stored must be there, and no half request."""
    seen, before = 0, set(ids_in(file))
    with Asker(service) as asker:
        for number in range(kills):
            until(lambda seen=seen: len(asker.answered) > seen + 30 + 7 * (number % 5))  # type: ignore[misc]  # noqa: B023
            seen = len(asker.answered)
            stored = counted(service).get("stored", 0)
            worker = until(partial(_writers, service, file))[0]
            os.kill(worker, signal.SIGKILL)
            assert len(ids_in(file)) >= stored
            until(lambda worker=worker: worker not in descendants(service.process.pid))  # type: ignore[misc]
    assert set(asker.refused) <= {503}  # a worker in the place of another that still loads the model
    by_process: dict[str, list[str]] = defaultdict(list)
    for ids in asker.answered:
        by_process[ids[0][:12]] += ids
    found: dict[str, list[str]] = defaultdict(list)
    for name in ids_in(file):
        if name not in before:
            found[name[:12]].append(name)
    assert len(by_process) > 1
    for process, ids in by_process.items():
        logged = found[process]
        assert len(logged) % ROWS == 0
        assert ids[: len(logged)] == logged[: len(ids)]  # in the order in which they were answered, without a gap
        assert len(logged) <= len(ids) + ROWS


def _writers(service: Service, file: Path) -> list[int]:
    """The processes of a service that have the log open."""
    return [process for process in descendants(service.process.pid) if file in _opened_by(process)]


def _opened_by(process: int) -> set[Path]:
    found = set()
    with contextlib.suppress(OSError):  # it has ended
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(descriptor.readlink())
    return found


def hold_lock(service: Service, file: Path, seconds: float, requests: int) -> dict[str, int]:
    """Lock the log for so long and so many requests; all are answered, and every row counted once in the end."""
    before = at_rest(service)
    with Asker(service) as asker:
        until(lambda: len(asker.answered) > 20)
        with closing(sqlite3.connect(file, isolation_level=None, timeout=60)) as other:
            other.execute("BEGIN IMMEDIATE")
            stored = ids_in(file)
            begun = len(asker.answered)
            time.sleep(seconds)
            until(lambda: len(asker.answered) >= begun + requests)
            assert ids_in(file) == stored
            answered = len(asker.answered)
        until(lambda: len(asker.answered) > answered + 20)
    assert (asker.refused, asker.lost) == ([], 0)
    after = settled(service, before + ROWS * len(asker.answered))
    assert sum(after.values()) == before + ROWS * len(asker.answered)
    return after


@contextmanager
def no_room(service: Service) -> Iterator[None]:
    """As on a full disk: no file of the service can be written beyond its first pages."""
    workers = [service.process.pid, *descendants(service.process.pid)]
    before = {worker: resource.prlimit(worker, resource.RLIMIT_FSIZE) for worker in workers}
    for worker, (_, hard) in before.items():
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (_FIRST_BYTES, hard))
    try:
        yield
    finally:
        for worker, limits in before.items():
            resource.prlimit(worker, resource.RLIMIT_FSIZE, limits)
