"""Answers: what a model says of n rows, as plain Python values that every runtime gives alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract.errors import PredictionFailed
from contract.signature import Output

Columns = dict[str, Sequence[Any]]
"""Rows by column: every field of the signature with n values, None where a value is missing."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One entry a row; `probabilities` has one number per class, in the order of the output's classes."""

    values: list[Any]
    probabilities: list[list[float]] | None = None

    def take(self, rows: Sequence[int]) -> Answers:
        """The answers for some of the rows."""
        shares = self.probabilities
        return Answers([self.values[i] for i in rows], None if shares is None else [shares[i] for i in rows])


def count(columns: Columns) -> int:
    """The number of rows in `columns`."""
    return len(next(iter(columns.values())))


def from_model(values: Any, probabilities: Any, output: Output, rows: int) -> Answers:
    """Put what a fitted object returned (arrays: labels or numbers of n rows, probabilities n by classes) into answers.

    Raises:
        PredictionFailed: it is no answer for `rows` rows of this output.
    """
    if getattr(values, "shape", ())[1:] == (1,):  # what a model says that was fitted on a column of targets
        values = values.squeeze(axis=1)
    found = _as_list(values)
    if len(found) != rows:
        raise PredictionFailed(f"The model gave {len(found)} answers for {rows} rows.")
    if output.task == "regression":
        return Answers(_finite(found))
    names = dict(zip(output.labels, output.classes, strict=True))
    try:
        labels = [names[label] for label in found]
    except (KeyError, TypeError):
        raise PredictionFailed("The model answered a class that its signature does not have.") from None
    if not output.probabilities:
        return Answers(labels)
    shares = _as_list(probabilities)
    if len(shares) != rows or any(len(row) != len(output.classes) for row in shares):
        raise PredictionFailed("The model's probabilities do not have one number per row and class.")
    return Answers(labels, [_finite(row) for row in shares])


def difference(left: Answers, right: Answers, *, relative: bool) -> float:
    """The largest difference between two sets of answers; infinite where a label or the number of rows differs.

    `relative` compares values as regression does: |a - b| / max(1, |b|).
    """
    if len(left.values) != len(right.values):
        return math.inf
    if relative:
        pairs = zip(left.values, right.values, strict=True)
        return max((abs(a - b) / max(1.0, abs(b)) for a, b in pairs), default=0.0)
    if left.values != right.values or (left.probabilities is None) != (right.probabilities is None):
        return math.inf
    shares = zip(left.probabilities or [], right.probabilities or [], strict=True)
    return max((abs(a - b) for one, other in shares for a, b in zip(one, other, strict=True)), default=0.0)


def _as_list(array: Any) -> list[Any]:
    listed = array.tolist() if hasattr(array, "tolist") else list(array)
    return listed if isinstance(listed, list) else [listed]


def _finite(numbers: list[Any]) -> list[float]:
    try:
        finite = all(map(math.isfinite, numbers))
    except (TypeError, OverflowError):
        raise PredictionFailed("The model answered something that is no number.") from None
    if not finite:
        raise PredictionFailed("The model answered a number that is not finite.")
    return list(map(float, numbers))
