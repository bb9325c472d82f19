"""Watching: every few seconds the newest rows of each version are held against its baseline, in a thread of its own.

observed → counted → (shared between workers) → evaluated → gauges, the webhook, the prediction log
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from contract.errors import BaselineNotFound
from contract.store import Store
from serving.drift.counting import Counting, Key
from serving.drift.evaluating import Evaluation, evaluate
from serving.drift.reference import Reference
from serving.drift.sharing import Counted, Shared
from serving.drift.slices import Slice, Window, newest, since
from serving.drift.webhook import Webhook
from serving.observed import Observed, Observer
from serving.settings import ServeSettings

EVERY_S = 2.0
_REST = 20
"""How many times as long as it worked the thread rests, at least."""
KEEP_EVERY_S = 300.0
"""How much time a row of counts in the prediction log covers."""

log = logging.getLogger("lectern.drift")


class Log(Protocol):
    """Where counts are kept beyond the life of a process."""

    def add_counts(self, rows: list[dict[str, Any]]) -> None:
        """Have these rows written."""


class Drifts(Observer):
    """The drift of all versions that this process, and the workers beside it, have answered with."""

    def __init__(self, store: Store, settings: ServeSettings) -> None:
        self.log: Log | None = None
        """Where to hand counts, if anywhere."""
        self._settings = settings
        self._counting = Counting(store, settings)
        self._shared = Shared(settings.shared_folder) if settings.shared_folder else None
        self._webhook = Webhook(settings) if settings.drift_webhook else None
        self._last: dict[Key, tuple[int, Evaluation]] = {}
        """By version: how many rows there were in all, and what the newest of them said."""
        self._left = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lectern-drift", daemon=True)

    def start(self) -> None:
        """Begin to evaluate."""
        self._thread.start()

    def stop(self) -> None:
        """Hand over what has been counted, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._webhook is not None:
            self._webhook.stop()

    def see(self, some: Sequence[Observed]) -> None:
        """Count."""
        self._counting.see(some)

    def reference(self, model: str, version: int) -> Reference:
        """What a version is held against.

        Raises:
            BaselineNotFound: it has no baseline; the message says why.
            OSError: the file system failed.
        """
        return self._counting.reference(Key(model, version))

    def evaluation(self, model: str, version: int, window: Window = "rows") -> Evaluation:
        """A window of a version, as of now.

        Raises:
            BaselineNotFound: it has no baseline; the message says why.
            OSError: the file system failed.
        """
        key = Key(model, version)
        found, slices = self._counting.reference(key), self.slices(model, version, window)
        if window == "rows":
            part = newest(slices, self._settings.drift_window_rows)
        else:
            part = since(slices, time.time() - self._settings.drift_window_s)
        return evaluate(key, found, part, self._settings)

    def slices(self, model: str, version: int, window: Window) -> list[Slice]:
        """What all workers have counted of a version."""
        key = Key(model, version)
        meter = self._counting.meters.get(key)
        found = meter.copies(window) if meter else []
        for other in self._others():
            found += other[key].by[window] if key in other else []
        return found

    def gauges(self) -> Iterator[tuple[str, int, str, float, bool]]:
        """Of each part of each version that was asked lately: model, version, part, index, whether it raises an alarm.

        As of the last evaluation, which was seconds ago.
        """
        for key, (_, found) in list(self._last.items()):
            if found.ended is not None and found.ended >= time.time() - self._settings.drift_window_s:
                for reading in found.readings:
                    yield *key, reading.part.name, reading.psi, reading.alarm

    def _watch(self) -> None:
        took = 0.0
        last = False
        while not last:
            last = self._stopping.wait(max(EVERY_S, _REST * took))
            began = time.perf_counter()
            try:
                self._keep(everything=last)
                self._leave()
                if not last:
                    self._evaluate()
            except Exception:
                log.exception("Drift was not evaluated, for an unforeseen reason.")
            took = time.perf_counter() - began

    def _leave(self) -> None:
        meters = self._counting.meters.copy()
        total = sum(meter.slices.total for meter in meters.values())
        if self._shared is not None and total != self._left:
            self._left = total
            self._shared.leave(
                {
                    key: Counted(meter.slices.total, {"rows": meter.copies("rows"), "time": meter.copies("time")})
                    for key, meter in meters.items()
                }
            )

    def _evaluate(self) -> None:
        totals = {key: meter.slices.total for key, meter in self._counting.meters.copy().items()}
        for other in self._others():
            for key, counted in other.items():
                totals[key] = totals.get(key, 0) + counted.total
        for key, total in totals.items():
            if key not in self._last or self._last[key][0] != total:
                found = self.evaluation(*key)
                self._last[key] = total, found
                if self._webhook is not None:
                    self._webhook.tell(found, total)

    def _keep(self, *, everything: bool) -> None:
        if self.log is None:
            return
        before = float("inf") if everything else time.time() - KEEP_EVERY_S
        rows = []
        for key, meter in self._counting.meters.copy().items():
            if (found := meter.take(before)) is not None:
                moments = {"began": int(found.began * 1e6), "ended": int(found.ended * 1e6)}
                counts = {"rows": found.rows, "counts": meter.reference.spelled(found.counts)}
                rows.append({"model": key.model, "version": key.version, "worker": str(os.getpid())} | moments | counts)
        if rows:
            self.log.add_counts(rows)

    def _others(self) -> list[dict[Key, Counted]]:
        return [dict(one) for one in self._shared.others(self._size)] if self._shared else []

    def _size(self, key: Key) -> int | None:
        try:
            return self._counting.reference(key).size
        except (BaselineNotFound, OSError):
            return None
