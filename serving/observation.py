"""Observation: what was answered goes through a bounded queue to a thread, in which observers look at it.

Of workers that share a folder each leaves its counts there, so that any of them can tell all.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

from pydantic import ValidationError
from starlette.types import Scope

from contract.signature import as_key
from serving.loading import Served
from serving.metrics import SHEET, Sheet
from serving.observed import STREAMING, Observed, Observer, Part
from serving.replies import Reply
from serving.shadow import Shadows

MOST_ROWS = 100_000
"""Rows that wait to be looked at; what comes beyond them is answered but not observed."""
_EVERY_S = 0.25
_AT_ONCE, _PAUSE_S = 200, 0.001
"""Requests that are looked at before the event loop gets its turn: some 50 µs."""
_PREFIX = "counts-"

log = logging.getLogger("lectern.observation")


class Observation:
    """All that one process has seen. `offer` is the event loop's."""

    def __init__(self, folder: Path | None = None) -> None:
        """Prepare to look.

        Args:
            folder: where workers leave their counts; None where there is one alone.
        """
        self.sheet = Sheet()
        self.shadows = Shadows(self.sheet.agreements)
        self.observers: list[Observer] = [Tally(), self.shadows]
        self._folder = folder
        self._queue: deque[Observed] = deque()
        self._offered = self._taken = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lectern-observe", daemon=True)

    def start(self) -> None:
        """Begin to look at what is offered."""
        for observer in self.observers:
            observer.start()
        self._thread.start()

    def stop(self) -> None:
        """Look at what is left, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for observer in self.observers:
            observer.stop()

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
            self._offered += rows
            if self._offered - self._taken > MOST_ROWS:
                self._offered -= rows
                self.sheet.dropped += rows
                reply = None
        self._queue.append(Observed(served, scope, request_id, status, ended - began, ended, rows, reply))

    def sheets(self) -> Iterator[Sheet]:
        """The counts of this process, and those of the other workers, also of such as have ended."""
        yield SHEET.validate_json(SHEET.dump_json(self.sheet))  # in one go, while others count
        for path in self._folder.glob(f"{_PREFIX}*.json") if self._folder else ():
            if path != self._file:
                try:
                    yield SHEET.validate_json(path.read_bytes())
                except (OSError, ValidationError):
                    log.warning("The counts of another worker cannot be read: %s", path.name)

    @property
    def _file(self) -> Path:
        assert self._folder is not None  # asked only where there is one
        return self._folder / f"{_PREFIX}{os.getpid()}.json"

    def _watch(self) -> None:
        written = b""
        last = False
        while not last:
            last = self._stopping.wait(_EVERY_S)
            self._look()
            if self._folder is not None and (content := SHEET.dump_json(self.sheet)) != written:
                written = content
                self._leave(content)

    def _look(self) -> None:
        while self._queue:
            some = [self._queue.popleft() for _ in range(min(len(self._queue), _AT_ONCE))]
            self._taken += sum(one.rows for one in some if one.reply is not None)
            for observer in self.observers:
                try:
                    observer.see(some)
                except Exception:
                    log.exception("%s failed in an unforeseen way.", type(observer).__name__)
            time.sleep(_PAUSE_S)

    def _leave(self, content: bytes) -> None:
        beside = self._file.with_suffix(f".{time.monotonic_ns()}")
        try:
            beside.write_bytes(content)
            beside.replace(self._file)
        except OSError as error:
            log.warning("The counts of this worker cannot be written: %s.", error.strerror)


class Tally(Observer):
    """Counts requests, the classes that were predicted, and the fields of warnings."""

    def see(self, some: Sequence[Observed]) -> None:
        """Count."""
        seconds: dict[tuple[Served, int], list[float]] = {}
        rows: Counter[tuple[Served, int]] = Counter()
        predicted: dict[Served, list[Any]] = {}
        for one in some:
            served, reply = one.served, one.reply
            if one.status != STREAMING:
                seconds.setdefault((served, one.status), []).append(one.seconds)
                rows[served, one.status] += one.rows
            if reply is not None:
                predicted.setdefault(served, []).extend(reply.answers.values)
                for warnings in reply.unlike.values():
                    served.counts.warnings.update(warning["field"] for warning in warnings)
        for (served, status), times in seconds.items():
            served.counts.requests(status, times, rows[served, status])
        for served, values in predicted.items():
            output = served.manifest.signature.output
            if output.classes:
                several = output.task == "multilabel" or output.width is not None
                classes = Counter(chain.from_iterable(values) if several else values)
                served.counts.predictions.update({as_key(value): number for value, number in classes.items()})
