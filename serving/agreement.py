"""Agreement: how far a challenger says the same as the champion, in numbers that can be added up."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

MOST_KEPT = 100
"""Rows kept of those that the two answer differently."""


@dataclass(slots=True)
class Agreement:
    """What was seen of two versions of a model on the same rows."""

    model: str
    champion: int
    challenger: int
    seen: float = 0.0
    """When the last row was compared, in seconds since the epoch."""
    rows: int = 0
    agreeing: int = 0
    failed: int = 0
    """Rows that the challenger could not answer."""
    left_out: int = 0
    """Rows that it was not asked, because too many waited."""
    difference: float = 0.0
    """Sum over rows of the difference: of a number, or the largest of the probabilities or scores."""
    largest: float = 0.0
    seconds: float = 0.0
    """What the challenger took for all its rows."""
    said: Counter[str] = field(default_factory=Counter)
    """Rows by what champion and challenger said, as `a → b`, where they predict classes."""
    differing: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    """The last rows that they answered differently, with both answers."""

    def add(self, other: Agreement) -> None:
        """Take in what another process saw of the same two versions."""
        self.seen = max(self.seen, other.seen)
        self.rows += other.rows
        self.agreeing += other.agreeing
        self.failed += other.failed
        self.left_out += other.left_out
        self.difference += other.difference
        self.largest = max(self.largest, other.largest)
        self.seconds += other.seconds
        self.said.update(other.said)
        self.differing.extend(other.differing)


@dataclass(slots=True)
class Agreements:
    """All that one process has seen, by model, champion and challenger."""

    pairs: dict[str, Agreement] = field(default_factory=dict)

    def of(self, model: str, champion: int, challenger: int) -> Agreement:
        """The agreement of two versions, from now on there."""
        return self.pairs.setdefault(f"{model} {champion} {challenger}", Agreement(model, champion, challenger))

    def last(self, model: str) -> Agreement | None:
        """The pair of a model that was compared last."""
        return max((one for one in self.pairs.values() if one.model == model), key=lambda one: one.seen, default=None)

    def add(self, other: Agreements) -> None:
        """Take in what another process saw."""
        for one in other.pairs.values():
            self.of(one.model, one.champion, one.challenger).add(one)
