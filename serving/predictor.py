"""A predictor: what stands between a request on the event loop and one loaded version; and the bounds it works in."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from contract.answers import Answers, Columns
from serving.admission import Places
from serving.slots import Slots
from serving.vitals import Vitals


class Bounds:
    """How much is asked of a version at once, and for how long."""

    def __init__(self, timeout_s: float, requests: int = 256, slots: int = 2) -> None:
        self.timeout_s = timeout_s
        self.places = Places(requests)
        self.slots = Slots(slots)


class Predictor(Protocol):
    """One loaded version."""

    cheap: bool
    """Whether one row is answered on the event loop, without a place among those that wait."""
    places: Places
    """For all other requests."""
    slots: Slots
    """Where large ones are read, worked on and written."""
    vitals: Vitals
    """Whether it still answers."""

    @property
    def users(self) -> int:
        """Requests that use it now."""
        ...

    @property
    def waiting(self) -> int:
        """Requests that wait for others before them."""
        ...

    def in_use(self) -> AbstractContextManager[None]:
        """For a request, from the moment it finds this version: until it leaves, retiring waits. On the event loop."""
        ...

    async def answer(self, columns: Columns, within_s: float = ...) -> Answers:
        """Answer n rows, for somebody who does not wait longer than so many seconds.

        Raises:
            PredictionError: the model could not.
        """
        ...

    def answer_blocking(self, columns: Columns) -> Answers:
        """Answer n rows for a thread that may wait, not for the event loop's.

        Raises:
            PredictionError: the model could not.
        """
        ...

    def retire(self) -> None:
        """Let go of everything once no request uses it. Called on the event loop when none can find it any more."""
        ...
