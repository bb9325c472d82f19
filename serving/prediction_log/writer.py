"""The writer: what was answered becomes rows that wait in a bounded queue; nobody who predicts ever waits for the log.

Of a row that was answered exactly one thing is counted in the end: it was stored, it was dropped, or it was withheld.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contract.errors import LogUnavailable
from contract.store import Store
from serving.metrics import LogCounts
from serving.observed import GONE, Observed, Observer
from serving.prediction_log.drain import Drain, Item
from serving.prediction_log.place import NOTHING, Place, place_of
from serving.prediction_log.privacy import Privacy, read_key
from serving.prediction_log.rows import Rows
from serving.settings import ServeSettings

_LOOK_FOR_KEY_EVERY_S = 2.0

log = logging.getLogger("lectern.log")


class PredictionLog(Observer):
    """The log of what one process answers."""

    def __init__(self, store: Store, settings: ServeSettings, counts: LogCounts) -> None:
        self.place: Place | None = place_of(settings, store)
        self.off = self.place.missing if self.place else NOTHING
        """Why there is no log; empty where there is one."""
        self._settings = settings
        self._counts = counts
        self._rows: Rows | None = None
        self._no_key = ""
        self._look_for_key_at = 0.0
        self._drain = Drain(self.place, settings.log_days, counts) if self.place and not self.off else None

    @property
    def trouble(self) -> str:
        """What an operator should do something about, in a sentence; empty where there is nothing."""
        if self.place is None or (self.off and not self.place.asked):
            return ""
        if found := self.off or self._no_key or (self._drain.trouble if self._drain else ""):
            return f"The prediction log {self.place} cannot be written: {found}. Predictions go on."
        if aside := self.place.set_aside:
            return f"The prediction log was broken and begun anew. The old one is {aside[-1]}; move or delete it."
        return ""

    def start(self) -> None:
        """Begin to write; where nothing can be written, and nobody asked for it, there is no log."""
        if self.place is not None and not self.place.asked and not self.off and self.place.read_only:
            self.off, self._drain = f"{self.place.key.parent} cannot be written to", None
        if self.off and self.place is not None:
            log.warning("There is no prediction log: %s. LECTERN_PREDICTION_LOG names a place, or `none`.", self.off)
        if self._drain is not None:
            self._drain.start()

    def see(self, some: Sequence[Observed]) -> None:
        """Have what was answered written, as far as there is room."""
        drain, counts = self._drain, self._counts
        if drain is None:
            return
        began_at = time.time() - time.perf_counter()
        room = self._settings.log_queue_rows - drain.waiting
        found: list[Item] = []
        for one in some:
            if one.reply is None:
                if one.status == GONE and one.rows:  # the end of a stream
                    found.append(one.request_id)
                continue
            offered = len(one.reply.answers.values)
            if one.withheld:
                counts.withheld += offered
                continue
            rows = self._maker() if room > 0 else None
            made = rows.of(one, room, began_at) if rows else []
            found += made
            room -= len(made)
            counts.dropped += offered - len(made)
        drain.put(found)

    def add_counts(self, counts: Iterable[Mapping[str, Any]]) -> None:
        """Have counts of fields written with the rows; see the table `field_counts` for what is in one."""
        if self._drain is not None:
            self._drain.put_counts(counts)

    def stop(self) -> None:
        """Write what is left, as far as that is quick."""
        if self._drain is not None:
            self._drain.stop()

    def _maker(self) -> Rows | None:
        """What makes rows; None where there is no key, for which is looked from time to time."""
        if self._rows is None and self.place is not None and time.monotonic() >= self._look_for_key_at:
            try:
                self._rows = Rows(Privacy(self._settings.log_inputs, read_key(self.place, make=True)))
                self._no_key = ""
            except LogUnavailable as error:
                if not self._no_key:
                    log.error("The prediction log cannot be written: %s Predictions go on, and are not logged.", error)
                self._no_key = str(error).rstrip(".")
                self._look_for_key_at = time.monotonic() + _LOOK_FOR_KEY_EVERY_S
        return self._rows
