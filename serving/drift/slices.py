"""Slices: rows that were counted one after the other. They add up to windows: the newest rows, or those of a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Window = Literal["rows", "time"]

IN_A_WINDOW = 10
"""Slices of the newest rows that make a window of them, or few more."""
IN_A_TIME = 48


@dataclass(slots=True)
class Slice:
    """Some rows of one version."""

    began: float
    """When the first of them was counted, in seconds since 1970."""
    ended: float
    rows: int
    counts: Any
    """As `Reference.count` makes them."""

    def add(self, other: Slice) -> None:
        """Take in others."""
        self.began, self.ended = min(self.began, other.began), max(self.ended, other.ended)
        self.rows += other.rows
        self.counts = self.counts + other.counts  # a new array: somebody may be looking at the old one

    def copy(self) -> Slice:
        """The same, to go on with."""
        return Slice(self.began, self.ended, self.rows, self.counts)


class Slices:
    """What one process has counted of one version: no more than windows need, however long it runs."""

    def __init__(self, window_rows: int, window_s: float) -> None:
        self._rows, self._s = window_rows, window_s
        self.by: dict[Window, deque[Slice]] = {"rows": deque(), "time": deque()}
        """The newest last; the last one grows."""
        self.total = 0
        """Rows so far."""

    def add(self, some: Slice) -> None:
        """Take in rows that have just been counted."""
        newest, long = self.by["rows"], self.by["time"]
        _grow(newest, some, full=bool(newest) and newest[-1].rows * IN_A_WINDOW >= self._rows)
        while sum(one.rows for one in newest) - newest[0].rows >= self._rows:
            newest.popleft()
        _grow(long, some, full=bool(long) and (some.ended - long[-1].began) * IN_A_TIME >= self._s)
        while long[0].ended < some.ended - self._s:
            long.popleft()
        self.total += some.rows


def newest(slices: Iterable[Slice], rows: int) -> Slice | None:
    """The newest slices that have so many rows together, or all where they have fewer; None where there is none."""
    found: Slice | None = None
    for one in sorted(slices, key=lambda one: one.ended, reverse=True):
        if found is None:
            found = one.copy()
        elif found.rows < rows:
            found.add(one)
    return found


def since(slices: Iterable[Slice], moment: float) -> Slice | None:
    """The slices that ended at a moment or later, together; None where there is none."""
    return together(one for one in slices if one.ended >= moment)


def together(slices: Iterable[Slice]) -> Slice | None:
    """All of these, as one."""
    found: Slice | None = None
    for one in slices:
        if found is None:
            found = one.copy()
        else:
            found.add(one)
    return found


def in_turn(slices: Iterable[Slice], rows: int, most: int) -> list[Slice]:
    """One after the other by time, neighbours merged until each has so many rows and there are at most `most`."""
    ordered = sorted(slices, key=lambda one: one.ended)
    wanted = max(rows, -(-sum(one.rows for one in ordered) // most))
    found: list[Slice] = []
    for one in ordered:
        if found and found[-1].rows < wanted:
            found[-1].add(one)
        else:
            found.append(one.copy())
    return [one for one in found if one.rows >= rows]


def packed(one: Slice) -> list[Any]:
    """A slice as JSON has it."""
    return [one.began, one.ended, one.rows, one.counts.tolist()]


def unpacked(found: Any, size: int) -> Slice:
    """The slice that was packed so.

    Raises:
        ValueError, TypeError, OverflowError: it is none of so many numbers.
    """
    began, ended, rows, counts = found
    numbers = np.array(counts, dtype=np.int64)
    if numbers.shape != (size,) or (numbers < 0).any() or int(rows) < 1:
        raise ValueError("no slice of this version")
    return Slice(float(began), float(ended), int(rows), numbers)


def _grow(slices: deque[Slice], some: Slice, *, full: bool) -> None:
    if full or not slices:
        slices.append(some.copy())
    else:
        slices[-1].add(some)
