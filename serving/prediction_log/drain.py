"""The drain: a thread that takes rows from a queue and writes them, a batch in a transaction, until they are written.

While the database does not take them it tries again, ever less often; it says so when that begins and when it ends.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contract.errors import LogUnavailable
from serving.breathing import rest_s
from serving.metrics import LogCounts
from serving.prediction_log.place import Place
from serving.prediction_log.rows import LoggedRow

if TYPE_CHECKING:
    from serving.prediction_log.database.engine import Database

EVERY_S = 0.25
"""How long a row waits for others, at most."""
BATCH_ROWS = 1_000
"""Rows in one transaction."""
LOOK_AFTER_S = 10.0
"""When a log is opened that has no row to write: what is too old goes all the same."""
STOP_S = 3.0
"""How long the end of the service waits for what is left."""
_FEW_ROWS = 4 * BATCH_ROWS
"""While no more than these wait, requests go first."""
_LEAST_PAUSE_S, _MOST_PAUSE_S = 0.1, 2.0
_PRUNE_EVERY_S = 3600.0
_MOST_COUNTS = 1_000

log = logging.getLogger("lectern.log")

Item = LoggedRow | str
"""A row; or the id of a request whose caller left before the end of its stream, after the rows of that stream."""


class Drain:
    """What waits to be written by one process, and what writes it."""

    def __init__(self, place: Place, days: int, counts: LogCounts) -> None:
        """Prepare to write.

        Args:
            place: where the log is.
            days: for how long it keeps what it holds; 0 for ever.
            counts: where rows are counted as stored, or as dropped or withheld after all.
        """
        self.trouble = ""
        """Why nothing can be written at the moment."""
        self._place, self._days, self._counts = place, days, counts
        self._queue: deque[Item] = deque()
        self._batch: Sequence[Item] = ()
        """What was taken from the queue and is not known to be written."""
        self._field_counts: deque[Mapping[str, Any]] = deque(maxlen=_MOST_COUNTS)
        self._database: Database | None = None
        self._dropped_before = 0
        self._prune_at = 0.0
        self._counting = threading.Lock()
        self._wanted, self._stopping, self._ended = (threading.Event() for _ in range(3))
        self._thread = threading.Thread(target=self._work, name="lectern-log", daemon=True)

    @property
    def waiting(self) -> int:
        """How much waits to be written."""
        return len(self._queue) + len(self._batch)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, items: Iterable[Item]) -> None:
        """Have rows written soon."""
        self._queue.extend(items)
        if len(self._queue) >= BATCH_ROWS:
            self._wanted.set()

    def put_counts(self, counts: Iterable[Mapping[str, Any]]) -> None:
        """Have counts of fields written soon; the oldest go where there are too many."""
        self._field_counts.extend(counts)

    def stop(self) -> None:
        """Write what is left as far as that is quick, and drop the rest."""
        self._stopping.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        with self._counting:  # from here on the thread, if it still waits for the database, counts nothing
            self._ended.set()
            left = sum(_is_row(item) for items in (self._batch, self._queue) for item in items)
            self._counts.dropped += left
        if left:
            log.error("The prediction log could not be written to its end; %d rows were dropped.", left)

    def _work(self) -> None:
        pause, look_at = _LEAST_PAUSE_S, time.monotonic() + LOOK_AFTER_S
        while not self._ended.is_set() and (self.waiting or self._field_counts or not self._stopping.is_set()):
            if not self._stopping.is_set():
                self._wanted.wait(EVERY_S)
                self._wanted.clear()
            if not (self.waiting or self._field_counts or time.monotonic() > look_at):
                continue
            try:
                self._write_all()
                self._works()
                pause = _LEAST_PAUSE_S
            except Exception as error:  # noqa: BLE001  # whatever it is, what comes later may be written again
                self._fails(error)
                self._ended.wait(pause)
                pause = min(2 * pause, _MOST_PAUSE_S)
        self._close()

    def _write_all(self) -> None:
        from serving.prediction_log.database import keeping, writing

        database = self._open()
        while self.waiting and not self._ended.is_set():
            if not self._batch:
                self._batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_ROWS))]
            self._write(database, self._batch)
        if counts := [self._field_counts.popleft() for _ in range(len(self._field_counts))]:
            try:
                writing.write_counts(database, counts)
            except LogUnavailable:
                self._field_counts.extendleft(reversed(counts))
                raise
        if self._days and time.monotonic() >= self._prune_at:
            keeping.prune(database, self._days).tell()
            self._prune_at = time.monotonic() + _PRUNE_EVERY_S

    def _write(self, database: Database, items: Sequence[Item]) -> None:
        """Write the first items of the batch; what the database will never take is dropped, and nothing beside it."""
        from serving.prediction_log.database.engine import LogRefuses
        from serving.prediction_log.database.writing import write

        rows = [item for item in items if not isinstance(item, str)]
        try:
            kept = write(database, rows, [item for item in items if isinstance(item, str)], self._rest)
            if not database.is_there:  # what was written went with the file
                raise LogUnavailable("its file is gone")
            refused = 0
        except LogRefuses:
            if len(items) > 1:
                middle = len(items) // 2
                self._write(database, items[:middle])
                self._write(database, items[middle:])
                return
            kept, refused = 0, len(rows)
        with self._counting:
            if not self._ended.is_set():
                self._counts.stored += kept
                self._counts.dropped += refused
                self._counts.withheld += len(rows) - kept - refused
                self._batch = self._batch[len(items) :]

    def _rest(self, worked_s: float) -> None:
        if not self._stopping.is_set():
            time.sleep(rest_s(worked_s, urgent=self.waiting > _FEW_ROWS))

    def _open(self) -> Database:
        from serving.prediction_log.database.opening import opened

        if self._database is not None and not self._database.is_there:
            self._close()
            raise LogUnavailable("its file is gone")
        if self._database is None:
            self._database = opened(self._place)
            gc.freeze()  # what was imported stays: looking through it would hold up requests
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _fails(self, error: Exception) -> None:
        self._close()
        if not self.trouble:
            self._dropped_before = self._counts.dropped
            told = "The prediction log %s cannot be written: %s. Predictions go on; rows beyond its queue are dropped."
            unforeseen = None if isinstance(error, LogUnavailable) else error
            log.error(told, self._place, str(error).rstrip("."), exc_info=unforeseen)
        self.trouble = str(error).rstrip(".") or type(error).__name__

    def _works(self) -> None:
        if self.trouble:
            dropped = self._counts.dropped - self._dropped_before
            log.info("The prediction log %s is written again; %d rows were dropped meanwhile.", self._place, dropped)
        self.trouble = ""


def _is_row(item: Item) -> bool:
    return not isinstance(item, str)
