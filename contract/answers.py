"""Answers: what a model says of n rows, as plain Python values that every runtime gives alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.errors import PredictionFailed
from contract.signature import Output, Scalar

Columns = dict[str, Sequence[Any]]
"""Rows by column: every field of the signature with n values as JSON has them, None where one is missing."""

_OPEN: dict[str, type] = {"integer": int, "boolean": bool, "string": str}
_SINGLE = (str, bytes, Mapping, set, frozenset)
"""What Python can take apart, but which is no answer for each of several rows."""


MANY_ROWS = 64
"""From how many rows on arrays are checked as a whole, which takes microseconds however few there are."""
FLOOR = 0.01
"""The part of the largest number below which a smaller one is compared as if it were of that size."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """One entry a row: a class or a number, or a list of them where the output has several or is multilabel.

    `scores` has one number per class in the order of the output's classes, or a single decision value.
    """

    values: list[Any]
    scores: list[list[float]] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answers) and (self.values, self.scores) == (other.values, other.scores)

    __hash__ = None  # type: ignore[assignment]  # there are lists in it

    def take(self, rows: Sequence[int]) -> Answers:
        """The answers for some of the rows."""
        scores = self.scores
        return Answers([self.values[i] for i in rows], None if scores is None else [scores[i] for i in rows])


class ArrayAnswers(Answers):
    """Answers of many rows, kept as arrays until somebody asks for lists of them."""

    __slots__ = ("_scores", "_values", "array", "classes", "score_array")
    array: Any
    """The numbers of n rows, n or n by width; where there are classes, the place of each row's class among them."""
    score_array: Any
    """n by classes or n by 1; None without scores."""
    classes: tuple[Scalar, ...]
    _values: list[Any] | None
    _scores: list[list[float]] | None

    def __init__(self, array: Any, score_array: Any, classes: tuple[Scalar, ...]) -> None:
        found = {"array": array, "score_array": score_array, "classes": classes, "_values": None, "_scores": None}
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Answers(values={self.values!r}, scores={self.scores!r})"

    @property
    def values(self) -> list[Any]:
        """One entry a row."""
        found = self._values
        if found is None:
            found = self.array.tolist()
            if self.classes:
                found = [self.classes[i] for i in found]
            object.__setattr__(self, "_values", found)
        return found

    @property
    def scores(self) -> list[list[float]] | None:
        """One list a row."""
        if self._scores is None and self.score_array is not None:
            object.__setattr__(self, "_scores", self.score_array.tolist())
        return self._scores


def count(columns: Columns) -> int:
    """The number of rows in `columns`."""
    return len(next(iter(columns.values())))


def join(parts: Iterable[Answers]) -> Answers:
    """The answers of several sets of rows as those of one."""
    parts = list(parts)
    scores = [row for part in parts for row in part.scores or []] if parts and parts[0].scores is not None else None
    return Answers([value for part in parts for value in part.values], scores)


def from_model(values: Any, scores: Any, output: Output, rows: int) -> Answers:
    """Put what a fitted object returned into answers.

    Args:
        values: labels or numbers of n rows, n by width where the output has several; None where scores decide.
        scores: probabilities or decision values, n by classes or n (for multilabel also one array of n by 2 per label).
        output: what to expect.
        rows: n.

    Raises:
        PredictionFailed: it is no answer for `rows` rows of this output.
    """
    if rows >= MANY_ROWS and (answers := _as_arrays(values, scores, output, rows)) is not None:
        return answers
    shares = _scores(scores, output, rows) if output.scores else None
    if output.rule == "predict":
        found = as_list(values)
        if output.width is None and output.task != "multilabel":
            found = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in found]
        if len(found) != rows:
            raise PredictionFailed(f"The model gave {len(found)} answers for {rows} rows.")
        return Answers(_values(found, output), shares)
    assert shares is not None  # a signature with such a rule has scores
    return Answers([_chosen(row, output) for row in shares], shares)


def _as_arrays(values: Any, scores: Any, output: Output, rows: int) -> Answers | None:
    """The same for the usual arrays of numbers and classes; None where something needs a closer look."""
    score_array = None
    if output.scores:
        score_array = _finite_array(scores, rows)
        single = output.scores == "decisions" and output.rule != "largest"
        if score_array is None or output.task == "multilabel":
            return None
        score_array = score_array.reshape(rows, -1)
        width = score_array.shape[1]
        if width != len(output.classes) and not (single and width == 1):
            return None
    if output.rule != "predict":
        assert score_array is not None  # a signature with such a rule has scores
        if output.threshold is not None:
            return ArrayAnswers((score_array[:, -1] >= output.threshold).astype(int), score_array, output.classes)
        return ArrayAnswers(score_array.argmax(axis=1), score_array, output.classes)
    if isinstance(values, np.ndarray) and values.shape == (rows, 1) and output.width is None:
        values = values[:, 0]
    if output.labels and output.width is None and output.task != "multilabel":
        place = {label: index for index, label in enumerate(output.labels)}
        if not isinstance(values, np.ndarray) or values.shape != (rows,):
            return None
        try:
            places = np.fromiter(map(place.__getitem__, values.tolist()), dtype=np.intp, count=rows)
        except (KeyError, TypeError):
            return None
        return ArrayAnswers(places, score_array, output.classes)
    array = _finite_array(values, rows)
    if array is None or output.labels or output.type != "float":
        return None
    if array.shape != ((rows,) if output.width is None else (rows, output.width)):
        return None
    return ArrayAnswers(array, score_array, ())


def _finite_array(array: Any, rows: int) -> Any:
    """An array of numbers for n rows, as doubles; None for anything else."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
        return None
    found = array.astype(np.float64)
    return found if len(found) == rows and np.isfinite(found).all() else None


def difference(left: Answers, right: Answers, *, relative: bool, floor: float = FLOOR) -> float:
    """The largest difference between two sets of answers; infinite where a label or the number of rows differs.

    `relative` compares values as measured quantities, |a - b| / |b|. Next to zero that says nothing, so b counts as at
    least the `floor`-th part of the largest one of all. Scores are compared as |a - b| / max(1, |b|).
    """
    if len(left.values) != len(right.values) or (left.scores is None) != (right.scores is None):
        return math.inf
    if relative:
        least = floor * _largest(right.values)
        return max((_apart(a, b, least) for a, b in zip(left.values, right.values, strict=True)), default=0.0)
    if left.values != right.values:
        return math.inf
    scores = zip(left.scores or [], right.scores or [], strict=True)
    return max((_apart(a, b, 1.0) for a, b in scores), default=0.0)


def apart(left: Answers, right: Answers, *, relative: bool, tolerance: float) -> list[int]:
    """The rows, by number, in which two sets of answers for the same rows differ by more than `tolerance`."""
    rows = range(len(right.values))
    if relative:
        least = FLOOR * _largest(right.values)
        return [i for i in rows if _apart(left.values[i], right.values[i], least) > tolerance]
    return [i for i in rows if difference(left.take([i]), right.take([i]), relative=False) > tolerance]


def as_list(array: Any) -> list[Any]:
    """What a model returned (array, Series, DataFrame, sparse matrix, tensor, sequence) as a list of plain values."""
    if isinstance(array, _SINGLE):
        return [array]
    for method in ("toarray", "to_numpy", "detach"):
        if hasattr(array, method):
            array = getattr(array, method)()
    if not hasattr(array, "tolist") and hasattr(array, "numpy"):  # a tensor of TensorFlow
        array = array.numpy()
    if hasattr(array, "tolist"):
        listed = array.tolist()
    else:
        try:
            listed = list(array)
        except TypeError:
            return [array]
    return [_plain(value) for value in listed] if isinstance(listed, list) else [listed]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _values(found: list[Any], output: Output) -> list[Any]:
    if output.task == "multilabel":
        return [_applying(row, output) for row in found]
    if output.width is None:
        return _named(found, output)
    if any(not isinstance(row, list) or len(row) != output.width for row in found):
        raise PredictionFailed(f"The model did not give {output.width} values for each row.")
    return [_named(row, output) for row in found]


def _named(found: list[Any], output: Output) -> list[Any]:
    if output.labels:
        names = dict(zip(output.labels, output.classes, strict=True))
        try:
            return [names[label] for label in found]
        except (KeyError, TypeError):
            raise PredictionFailed("The model answered a class that its signature does not have.") from None
    if output.type == "float":
        return _finite(found)
    if all(type(value) is _OPEN[output.type] for value in found):  # True is no integer
        return found
    raise PredictionFailed(f"The model answered something that is no {output.type}.")


def _applying(row: Any, output: Output) -> list[Scalar]:
    if not isinstance(row, list) or len(row) != len(output.classes) or any(flag not in (0, 1) for flag in row):
        raise PredictionFailed("The model did not say of each label whether it applies.")
    return [name for name, flag in zip(output.classes, row, strict=True) if flag]


def _scores(found: Any, output: Output, rows: int) -> list[list[float]]:
    listed = as_list(found)
    if output.task == "multilabel" and all(_is_pairs(label, rows) for label in listed):
        listed = [[label[i][1] for label in listed] for i in range(rows)]
    listed = [row if isinstance(row, list) else [row] for row in listed]
    width = len(output.classes)
    single = output.scores == "probabilities" and all(len(row) == 1 for row in listed)
    if single and output.rule == "threshold" and output.task != "multilabel":
        listed = [[1 - row[0], row[0]] for row in map(_finite, listed)]
    one_in_all = output.scores == "decisions" and output.rule != "largest" and output.task != "multilabel"
    allowed = {1, width} if one_in_all else {width}
    if len(listed) != rows or any(len(row) not in allowed for row in listed):
        kind = "probabilities" if output.scores == "probabilities" else "decision values"
        raise PredictionFailed(f"The model's {kind} do not have one number per row and class.")
    return [_finite(row) for row in listed]


def _is_pairs(label: Any, rows: int) -> bool:
    """Whether these are n by 2: of one of several labels the probability that it does not apply, and that it does."""
    return isinstance(label, list) and len(label) == rows and all(isinstance(p, list) and len(p) == 2 for p in label)


def _chosen(scores: list[float], output: Output) -> Any:
    if output.threshold is not None:
        if output.task == "multilabel":
            return [name for name, score in zip(output.classes, scores, strict=True) if score >= output.threshold]
        return output.classes[int(scores[-1] >= output.threshold)]
    return output.classes[scores.index(max(scores))]


def _largest(values: Sequence[Any]) -> float:
    return max((_largest(value) if isinstance(value, list) else abs(value) for value in values), default=0.0)


def _apart(left: Any, right: Any, least: float) -> float:
    """|a - b| in parts of |b|, or of `least` where that is more; the largest one of several."""
    if isinstance(right, list):
        if not isinstance(left, list) or len(left) != len(right):
            return math.inf
        return max((_apart(a, b, least) for a, b in zip(left, right, strict=True)), default=0.0)
    size = max(abs(right), least)
    return 0.0 if left == right else float(abs(left - right) / size) if size else math.inf


def _finite(numbers: list[Any]) -> list[float]:
    try:
        finite = all(map(math.isfinite, numbers))
    except (TypeError, OverflowError):
        raise PredictionFailed("The model answered something that is no number.") from None
    if not finite:
        raise PredictionFailed("The model answered a number that is not finite.")
    return list(map(float, numbers))
