"""The pulse: what is so in this process at the moment, taken a few times a second and never by a request."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable

from serving.loading import Served
from serving.metrics import Gauges

EVERY_S = 0.5
STUCK_S = 2.0
"""A loop that is later than this is told of, with what it is at."""
_USUAL_S = 0.002
"""What any timer may be late by: nothing that is told."""
_REMEMBERED = 120
"""Looks that the worst lag is of: those of the last minute."""


log = logging.getLogger("lectern.pulse")


class Pulse:
    """Looks at the versions that are loaded, and how late the event loop is."""

    def __init__(self, loaded: Callable[[], Iterable[Served]]) -> None:
        self._loaded = loaded
        self._lags = deque([0.0], maxlen=_REMEMBERED)
        self._due = float("inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._thread = 0
        self._is_told = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look at the loop; on it."""
        self._loop = loop
        self._thread = threading.get_ident()
        self._look_again()

    def stop(self) -> None:
        """Look at it no more; on it."""
        self._due = float("inf")
        if self._timer is not None:
            self._timer.cancel()

    def watch(self) -> None:
        """Tell where the loop is stuck, once each time; from another thread, again and again."""
        late = self._late()
        if late >= STUCK_S and not self._is_told and (frame := sys._current_frames().get(self._thread)):
            log.error("The event loop has been stuck for %.1f s:\n%s", late, "".join(traceback.format_stack(frame)))
        self._is_told = late >= STUCK_S

    def gauges(self) -> Gauges:
        """What is so now; from any thread, and while the loop is held up, too."""
        found = Gauges()
        for served in self._loaded():
            predictor = served.predictor
            found.in_flight.setdefault(served.model, {})[served.version] = predictor.users
            found.waiting.setdefault(served.model, {})[served.version] = predictor.waiting
            found.unhealthy.setdefault(served.model, {})[served.version] = int(not predictor.vitals.healthy)
        lags = [*self._lags]
        found.lag_s = max(lags[-1], self._late())
        found.largest_lag_s = max(*lags, found.lag_s)
        return found

    def _late(self) -> float:
        late = self._loop.time() - self._due if self._loop else 0.0
        return round(late, 3) if late > _USUAL_S else 0.0

    def _tick(self) -> None:
        self._lags.append(self._late())
        self._look_again()

    def _look_again(self) -> None:
        assert self._loop is not None  # it was started
        self._due = self._loop.time() + EVERY_S
        self._timer = self._loop.call_at(self._due, self._tick)
