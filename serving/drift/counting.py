"""Counting: rows and answers of each version, some hundred at a time, by the bins of its baseline."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from contract.answers import Columns
from contract.errors import BaselineNotFound
from contract.store import Store
from serving.drift.reference import Reference, reference
from serving.drift.slices import Slice, Slices, Window
from serving.loading import Served
from serving.observed import Observed, Part
from serving.settings import ServeSettings

AGAIN_S = 5.0
"""After so long a baseline is read again that could not be read for reasons that may pass."""

log = logging.getLogger("lectern.drift")


class Key(NamedTuple):
    """A version."""

    model: str
    version: int


class Meter:
    """Counts the rows of one version."""

    def __init__(self, found: Reference, settings: ServeSettings) -> None:
        self.reference = found
        self.slices = Slices(settings.drift_window_rows, settings.drift_window_s)
        self._unkept: Slice | None = None
        self._changing = threading.Lock()
        self._skip = 0
        """Rows until the next one that is counted."""

    def count(self, columns: Columns, values: Sequence[Any]) -> None:
        """Count rows that were answered."""
        every = self.reference.every
        if every > 1:
            skip, self._skip = self._skip, (self._skip - len(values)) % every
            columns = {name: column[skip::every] for name, column in columns.items()}
            values = values[skip::every]
        if len(values):
            now = time.time()
            found = Slice(now, now, len(values), self.reference.count(columns, values))
            with self._changing:
                self.slices.add(found)
                if self._unkept is None:
                    self._unkept = found
                else:
                    self._unkept.add(found)

    def copies(self, window: Window) -> list[Slice]:
        """What is there for windows of a kind."""
        with self._changing:
            return [one.copy() for one in self.slices.by[window]]

    def take(self, before: float) -> Slice | None:
        """What was counted since it was taken last, if that began before a moment."""
        with self._changing:
            if self._unkept is None or self._unkept.began > before:
                return None
            found, self._unkept = self._unkept, None
            return found


class Counting:
    """The meters of all versions that have a baseline. `see` is the observation's."""

    def __init__(self, store: Store, settings: ServeSettings) -> None:
        self._store = store
        self._settings = settings
        self._references: dict[Key, Reference | str] = {}
        """Or why there is none: an error would keep in memory what was at hand when it arose, requests among it."""
        self._unread: dict[Key, float] = {}
        """When to try again."""
        self.meters: dict[Key, Meter] = {}
        """Changed by the observation only."""

    def see(self, some: Sequence[Observed]) -> None:
        """Count the rows of these requests, together those of one version."""
        found: dict[Served, list[Observed]] = {}
        for one in some:
            if one.reply is not None:
                found.setdefault(one.served, []).append(one)
        for served, ones in found.items():
            key = Key(served.model, served.version)
            meter = self.meters.get(key) or self._meter(key)
            if meter is not None:
                self._count(meter, key, served, ones)

    def reference(self, key: Key) -> Reference:
        """What a version is held against.

        Raises:
            BaselineNotFound: it has no baseline; the message says why.
            OSError: the file system failed; another time it may not.
        """
        if key not in self._references:
            try:
                self._references[key] = reference(self._store.artifact(*key))
            except BaselineNotFound as error:
                self._references[key] = str(error)
        found = self._references[key]
        if isinstance(found, str):
            raise BaselineNotFound(f"There is no drift of version {key.version} of '{key.model}'. {found}")
        return found

    def _meter(self, key: Key) -> Meter | None:
        if self._unread.get(key, 0.0) > time.monotonic():
            return None
        try:
            return self.meters.setdefault(key, Meter(self.reference(key), self._settings))
        except BaselineNotFound:
            self._unread[key] = float("inf")
        except OSError as error:
            log.warning("The baseline of %s version %d cannot be read: %s.", *key, error.strerror)
            self._unread[key] = time.monotonic() + AGAIN_S
        return None

    def _count(self, meter: Meter, key: Key, served: Served, ones: Sequence[Observed]) -> None:
        try:
            for columns, values in _gathered(served, ones):
                meter.count(columns, values)
        except Exception as error:  # noqa: BLE001  # the baseline is of other types; what else is said may hold a value
            log.error("The rows of %s version %d cannot be counted: %s.", *key, type(error).__name__)
            self._references[key] = "Its rows cannot be counted as its baseline was; the log says why."
            del self.meters[key]
            self._unread[key] = float("inf")


def _gathered(served: Served, ones: Sequence[Observed]) -> Iterator[tuple[Columns, Sequence[Any]]]:
    """Rows and answers: those of many small requests together, parts of streams one by one."""
    rows, values = [], []
    for one in ones:
        assert one.reply is not None  # asked of nothing else
        if isinstance(one.reply, Part):
            yield one.columns, one.reply.answers.values
        else:
            rows += one.reply.rows
            values += one.reply.answers.values
    if rows:
        yield served.schema.columns(rows), values
