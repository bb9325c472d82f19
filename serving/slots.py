"""Slots: a few threads of one version, for work that would hold up the event loop.

They are nobody else's, so that a model that hangs takes them from no other, and from no page, metric or health check.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from serving.cores import usable_cores
from serving.turns import SHORT_TURNS, be_less_urgent

IDLE_S = 10.0
"""How long a thread stays that has nothing to do."""

T = TypeVar("T")


def usual_slots() -> int:
    """One for each core that may be used, within reason: most of what is done in them takes one thread at a time."""
    return max(2, min(8, usable_cores()))


class Job:
    """Some work, once there is a thread for it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.future: Future[Any] = Future()
        self.began: float | None = None
        """When a thread took it up (monotonic seconds)."""

    def do(self) -> None:
        """Do it, unless nobody waits for it any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        self.began = time.monotonic()
        try:
            self.future.set_result(self._work())
        except BaseException as error:  # noqa: BLE001  # it is the result
            self.future.set_exception(error)


class Slots:
    """So many threads, which begin when they are needed and end when they are not."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._jobs: deque[Job] = deque()
        self._wanted = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads = self._resting = 0

    async def run(self, work: Callable[..., T], *given: Any, begun: bool = False) -> T:
        """Do something in a thread; for a request that has been `begun` it goes before others.

        Raises:
            Exception: what the work raises.
        """
        job = self.put(lambda: work(*given), begun=begun)
        found: T = await asyncio.wrap_future(job.future)
        return found

    def put(self, work: Callable[[], Any], *, begun: bool = False) -> Job:
        """Have something done in a thread."""
        job = Job(work)
        (self._jobs.appendleft if begun else self._jobs.append)(job)
        self._wanted.release()
        with self._lock:
            if self._resting < len(self._jobs) and self._threads < self.number:
                self._threads += 1
                threading.Thread(target=self._live, name="lectern-slot", daemon=True).start()
        return job

    def _live(self) -> None:
        be_less_urgent()
        while True:
            with self._lock:
                self._resting += 1
            wanted = self._wanted.acquire(timeout=IDLE_S)
            with self._lock:
                self._resting -= 1
                if not wanted and not self._wanted.acquire(blocking=False):  # else something came just now
                    self._threads -= 1
                    return
            with SHORT_TURNS:
                self._jobs.popleft().do()
