"""Evaluating: a window of rows against the baseline, part by part, and which of them raise an alarm.

A part does when both is so: its p-value, times the number of parts, is below the level, which so is that of a whole
window; and its index says that the difference matters. Windows overlap: each look is allowed the level anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract import drift
from serving.drift.counting import Key
from serving.drift.reference import Part, Reference
from serving.drift.slices import Slice, in_turn
from serving.settings import ServeSettings

LEAST_ROWS = 200
"""Fewer say nothing yet; so few that a window of them would be no window are not waited for."""
MOST_PAST = 40


@dataclass(frozen=True, slots=True)
class Reading:
    """One input or output in one window."""

    part: Part
    psi: float
    p_value: float
    alarm: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One window of a version."""

    key: Key
    reference: Reference
    rows: int
    needed: int
    """Rows from which on it says something."""
    began: float | None
    ended: float | None
    counts: Any
    """As `Reference.count` makes them."""
    alarm_below: float
    """What a p-value has to be below."""
    readings: tuple[Reading, ...]
    """None where there are not enough rows."""

    @property
    def alarms(self) -> tuple[Reading, ...]:
        """The parts that raise one."""
        return tuple(reading for reading in self.readings if reading.alarm)


def evaluate(key: Key, found: Reference, window: Slice | None, settings: ServeSettings) -> Evaluation:
    """Hold a window against the baseline."""
    needed = min(LEAST_ROWS, settings.drift_window_rows)
    below = settings.drift_level / len(found.parts)
    if window is None:
        return Evaluation(key, found, 0, needed, None, None, np.zeros(found.size, dtype=np.int64), below, ())
    enough = window.rows >= needed
    readings = tuple(_read(found, window.counts, below, settings.drift_psi)) if enough else ()
    return Evaluation(key, found, window.rows, needed, window.began, window.ended, window.counts, below, readings)


def past(found: Reference, slices: Iterable[Slice]) -> list[tuple[float, list[float]]]:
    """The index of every part over time: for each window of the past when it ended, and one number a part."""
    return [
        (one.ended, [_shift(part, one.counts).psi for part in found.parts])
        for one in in_turn(slices, LEAST_ROWS, MOST_PAST)
    ]


def _read(found: Reference, counts: Any, below: float, least: float) -> Iterator[Reading]:
    for part in found.parts:
        shift = _shift(part, counts)
        alarm = shift.p_value < below and shift.psi >= least
        yield Reading(part, shift.psi, shift.p_value, alarm)


def _shift(part: Part, counts: Any) -> drift.Shift:
    ordered = part.counts.by != "value"
    return drift.compare(part.counts.array, counts[part.begin : part.end], ordered=ordered)
