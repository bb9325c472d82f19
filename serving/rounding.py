"""Rounding: how much is told of scores, so many decimal places of so many classes.

Whoever is told all of them can draw a copy of the model from fewer answers. What is compared, proved or counted in here
is not rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serving.settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Rounding:
    """How probabilities and decision values are told; answers that have none are told as they are."""

    places: int | None = None
    """Decimal places; None: as computed."""
    most: int | None = None
    """Classes; None: all."""

    @classmethod
    def of(cls, settings: ServeSettings) -> Rounding | None:
        """What is set; None where all is told."""
        found = cls(settings.round_scores, settings.top_scores)
        return found if found != cls() else None

    def leaves_out(self, classes: int) -> bool:
        """Whether of so many classes some are not told."""
        return self.most is not None and self.most < classes

    def one(self, score: float) -> float:
        """One score, as it is told."""
        return score if self.places is None else round(score, self.places)

    def all(self, scores: Sequence[float]) -> list[float | None]:
        """The scores of an answer in their order, None in the place of each that is not told."""
        if not self.leaves_out(len(scores)):
            return [self.one(score) for score in scores]
        largest = {*sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[: self.most]}
        return [self.one(score) if place in largest else None for place, score in enumerate(scores)]

    def __str__(self) -> str:
        """What a document says of it."""
        said = [f"rounded to {self.places} decimal places"] if self.places is not None else []
        said += [f"of the {self.most} classes that have the largest"] if self.most is not None else []
        return ", ".join(said)
