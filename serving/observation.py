"""Observation: what was answered goes through a bounded queue to a thread, in which observers look at it.

Of workers that share a folder each leaves its counts there, so that any of them can tell all.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter, thread_time

from starlette.types import Scope

from contract.memory import kills
from serving import lines
from serving.breathing import rest_s
from serving.ledger import Ledger
from serving.loading import Served
from serving.metrics import SHEET, Sheet
from serving.observed import Observed, Observer, Part
from serving.pulse import Pulse
from serving.replies import Reply
from serving.shadow import Shadows
from serving.tally import Tally

MOST_ROWS = 10_000
"""While so many rows wait to be looked at, what comes is answered but not observed."""
_EVERY_S = 0.25
_AT_ONCE, _ROWS_AT_ONCE = 100, 1_000
"""Requests, and rows of them, that are looked at before the event loop gets its turn: a millisecond, or a few."""

log = logging.getLogger("lectern.observation")


class Observation:
    """All that one process has seen. `offer` is the event loop's."""

    def __init__(
        self, folder: Path | None = None, loaded: Callable[[], Iterable[Served]] = tuple, *, inputs: bool = False
    ) -> None:
        """Prepare to look.

        Args:
            folder: where workers leave their counts; None where there is one alone.
            loaded: tells the versions that requests can find.
            inputs: whether those of rows that champion and challenger answer differently are kept.
        """
        self.sheet = Sheet()
        self.pulse = Pulse(loaded)
        self.shadows = Shadows(self.sheet.agreements, inputs=inputs)
        self.observers: list[Observer] = [Tally(), self.shadows]
        self._ledger = Ledger(folder) if folder else None
        self._left = b""
        self._queue: deque[Observed] = deque()
        self._offered = self._taken = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lectern-observe", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Begin to look at what is offered; and at the event loop, if there is one."""
        for observer in self.observers:
            observer.start()
        if loop is not None:
            self.pulse.start(loop)
        self._thread.start()

    def stop(self) -> None:
        """Look at what is left, and end."""
        self.pulse.stop()
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for observer in self.observers:
            observer.stop()
        self.sheet.ended = True
        self._leave()

    def offer(
        self,
        served: Served,
        scope: Scope,
        request_id: str,
        status: int,
        began: float,
        reply: Reply | Part | None = None,
        *,
        streamed: int = 0,
    ) -> None:
        """Have a request and its reply looked at; where there is no room for its rows it is only counted.

        At the end of a stream only the number of its rows is known; its parts were offered while it went on.
        """
        ended = perf_counter()
        rows = streamed if reply is None else len(reply.answers.values)
        if reply is not None:
            if self._offered - self._taken < MOST_ROWS:
                self._offered += rows
            else:
                self.sheet.dropped += rows
                reply = None
        self._queue.append(Observed(served, scope, request_id, status, ended - began, ended, rows, reply))

    def sheets(self) -> Iterator[Sheet]:
        """The counts of this process, and those of the other workers together, also of such as have ended."""
        yield SHEET.validate_json(self._now())
        if self._ledger is not None:
            yield self._ledger.others()

    def _now(self) -> bytes:
        """The counts in one go, while others count."""
        self.sheet.gauges = self.pulse.gauges()
        self.sheet.gauges.unobserved = self._offered - self._taken
        self.sheet.lines_dropped = lines.dropped()
        return SHEET.dump_json(self.sheet)

    def _watch(self) -> None:
        if self._ledger is not None:
            self._ledger.others()  # another worker may have died, which this one is in the place of
        last = False
        while not last:
            self._leave()
            last = self._stopping.wait(_EVERY_S)
            self.pulse.watch()
            self._look()

    def _leave(self) -> None:
        if self._ledger is None:
            return
        self.sheet.kills = kills()
        if (content := self._now()) != self._left:
            self._left = content
            self._ledger.write(content)

    def _look(self) -> None:
        while self._queue:
            began = thread_time()
            some = self._some()
            for observer in self.observers:
                try:
                    observer.see(some)
                except Exception:
                    log.exception("%s failed in an unforeseen way.", type(observer).__name__)
            if not self._stopping.is_set():
                time.sleep(rest_s(thread_time() - began))

    def _some(self) -> list[Observed]:
        """The next few from the queue, which is not empty."""
        some: list[Observed] = []
        rows = 0
        while self._queue and len(some) < _AT_ONCE and rows < _ROWS_AT_ONCE:
            one = self._queue.popleft()
            some.append(one)
            if one.reply is not None:
                rows += one.rows
        self._taken += rows
        return some
