"""The baseline: counts of the rows a model was trained on and of what it answers, the reference for drift.

Of each field and each output: numbers are counted between edges, about a tenth of the rows in each bin; so are moments,
the lengths of free texts and the means of tensors. Everything else is counted by value, and what is missing apart.
The same counting serves whoever compares later rows with it. No value of one person is in it but the ends of a range,
which the signature shows: of a free text only its length is counted, and a sensitive field not at all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from pydantic import ValidationError, model_validator

from contract.artifact import Artifact
from contract.errors import ArtifactError, BaselineNotFound
from contract.signature import Field, Output, Record, Scalar, Signature, as_key

BASELINE = "baseline.json"
MAX_BYTES = 16 << 20
BINS = 10
LEAST_ROWS = 10
"""Few rows make fewer bins, so that there are about so many in each."""
MOST_VALUES = 100
"""Of more levels the most frequent are counted, the others together."""
MOST_ELEMENTS = 1_024
"""Of a larger tensor only whether it is there is counted: its mean would take longer than all the rest."""
MOST_OUTPUTS = 100
_ROUNDING = 1e-6
"""How far from a number, in parts of the largest, another one may be and be the same, written with fewer digits."""

Measure = Literal["number", "moment", "length", "mean", "value"]
"""What is counted of a value: itself, the seconds since 1970, the characters of a text, the mean of all elements."""


class Counts(Record):
    """How often each bin or value of one field or output occurred.

    With `edges` (ascending, k of them) there are k + 1 counts: below the first (less than any row had), between each
    two (the left one included), and from the last on (more than any row had). With `values` there is a count for each,
    and one more for all others.
    """

    by: Measure
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    counts: tuple[int, ...]
    missing: int

    @model_validator(mode="after")
    def _sound(self) -> Self:
        ascending = all(low < high for low, high in zip(self.edges, self.edges[1:], strict=False))
        if not ascending or (self.values if self.by != "value" else self.edges):
            raise ValueError("values are counted one by one, and anything else between ascending edges")
        if len(self.counts) != len(self.edges or self.values) + 1 or min(*self.counts, self.missing) < 0:
            raise ValueError("there is a count for each bin, and one more")
        return self

    @property
    def array(self) -> Any:
        """All counts, those of the missing last: such arrays of the same bins can be added."""
        return np.array([*self.counts, self.missing], dtype=np.int64)

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return sum(self.counts) + self.missing

    def count(self, column: Any) -> Any:
        """Count another column by the same bins; return an array as `array` is.

        Args:
            column: n values as JSON has them, None where one is missing, or an array of n.
        """
        if self.by == "value":
            return self._by_value(column)
        numbers = _NUMBERS[self.by](column)
        missing = int(np.isnan(numbers).sum())
        found = np.bincount(np.searchsorted(np.array(self.edges), numbers, side="right"), minlength=len(self.edges) + 2)
        found[-2] -= missing  # which sorts behind all numbers
        found[-1] = missing
        return found

    def _by_value(self, column: Any) -> Any:
        found = np.zeros(len(self.values) + 2, dtype=np.int64)
        listed = column.tolist() if hasattr(column, "tolist") else column
        if not self.values:  # images are not looked at for nothing
            found[1] = sum(value is None for value in listed)
            found[0] = len(listed) - found[1]
            return found
        for value, times in Counter(listed).items():
            found[-1 if value is None else self._places.get(as_key(value), -2)] += times
        return found

    @cached_property
    def _places(self) -> dict[str, int]:
        return {value: place for place, value in enumerate(self.values)}


class Baseline(Record):
    """The counts of all fields and outputs, by name. Rows that are answered need not be all that were trained on."""

    rows: int
    fields: dict[str, Counts]
    outputs: dict[str, Counts]


def measure(columns: Iterable[tuple[str, Sequence[Any]]], values: Sequence[Any], signature: Signature) -> Baseline:
    """Count training rows and answers.

    Args:
        columns: by field, in the signature's order, n values as JSON has them, None where one is missing.
        values: what the model answered for any rows, one entry a row. Held-out ones say what it will answer; for rows
            that it was fitted on it may know the answers by heart.
        signature: what it takes and gives.
    """
    fields = {}
    rows = 0
    for field, (name, column) in zip(signature.inputs, columns, strict=True):
        assert field.name == name  # the order is the signature's
        rows = len(column)
        if not field.sensitive:
            fields[name] = _of_field(column, field)
    output = signature.output
    kinds: tuple[Scalar, ...] = (False, True) if output.task == "multilabel" else output.classes
    kinds = kinds or ((False, True) if output.type == "boolean" else ())
    outputs = {
        name: _by_value(column, kinds) if kinds else _by_bins(column, "number", whole=output.type == "integer")
        for name, column in answered(values, output).items()
    }
    return Baseline(rows=rows, fields=fields, outputs=outputs)


def answered(values: Sequence[Any], output: Output) -> dict[str, Sequence[Any]]:
    """The answers by output: one, or the first of several; of several labels whether each applies.

    Open texts are nothing that could be counted.
    """
    if output.task == "multilabel":
        return {f"prediction.{as_key(c)}": [c in row for row in values] for c in output.classes[:MOST_OUTPUTS]}
    if output.type == "string" and not output.classes:
        return {}
    if output.width is None:
        return {"prediction": values}
    names = [f"prediction.{name}" for name in output.names] or [f"prediction[{i}]" for i in range(output.width)]
    return {name: [row[place] for row in values] for place, name in enumerate(names[:MOST_OUTPUTS])}


def read(artifact: Artifact) -> Baseline:
    """The baseline of a version.

    Raises:
        BaselineNotFound: it has none, or none that can be read; the message says which.
        OSError: the file system failed; another time it may not.
    """
    try:
        manifest = artifact.manifest
        listed = manifest.files.get(BASELINE)
        if listed is None:
            raise BaselineNotFound("The version was made without counts of the rows it was trained on.")
        if listed.size > MAX_BYTES:
            raise BaselineNotFound(f"{BASELINE} has {listed.size:,} bytes; {MAX_BYTES:,} are allowed.")
        found = Baseline.model_validate_json(artifact.read(BASELINE))
    except ArtifactError as error:
        raise BaselineNotFound(str(error)) from error
    except ValidationError:
        raise BaselineNotFound(f"{BASELINE} is not a document of counts.") from None
    inputs = {field.name for field in manifest.signature.inputs if not field.sensitive}
    if not (found.fields.keys() <= inputs and found.outputs.keys() <= answered([], manifest.signature.output).keys()):
        raise BaselineNotFound(f"{BASELINE} has counts of other fields than the version takes and gives.")
    return found


def _of_field(column: Sequence[Any], field: Field) -> Counts:
    match field.type:
        case "float" | "integer":
            return _by_bins(column, "number", whole=field.type == "integer")
        case "date" | "datetime":
            return _by_bins(column, "moment")
        case "boolean":
            return _by_value(column, (False, True))
        case "tensor" if math.prod(field.shape) <= MOST_ELEMENTS:
            return _by_bins(column, "mean")
        case "string" if not field.levels:
            return _by_bins(column, "length", whole=True)
    return _by_value(column, field.levels or ())


def _by_value(column: Sequence[Any], levels: Sequence[Scalar]) -> Counts:
    kept = list(map(as_key, levels))
    if len(kept) > MOST_VALUES:
        often = Counter(as_key(value) for value in column if value is not None)
        kept = sorted(kept, key=lambda level: -often[level])[:MOST_VALUES]
    return _counted(column, Counts(by="value", values=tuple(kept), counts=(0,) * (len(kept) + 1), missing=0))


def _by_bins(column: Sequence[Any], by: Measure, *, whole: bool = False) -> Counts:
    edges = _edges(_NUMBERS[by](column), whole=whole)
    return _counted(column, Counts(by=by, edges=edges, counts=(0,) * (len(edges) + 1), missing=0))


def _counted(column: Sequence[Any], empty: Counts) -> Counts:
    *counts, missing = empty.count(column).tolist()
    return empty.model_copy(update={"counts": tuple(counts), "missing": missing})


def _edges(numbers: Any, *, whole: bool) -> tuple[float, ...]:
    """Edges between the numbers that occurred, nearest to where their shares are equal; and one beyond each end.

    Halfway between two numbers none of them changes its bin by a rounding. A number that is a bin's share of all by
    itself has a bin of its own, just as wide as a rounding, so that it is seen when it becomes another one.
    """
    distinct, times = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    if not distinct.size:
        return ()
    upto = np.cumsum(times)
    rows = int(upto[-1])
    bins = min(BINS, max(2, rows // LEAST_ROWS))
    wanted = rows * np.arange(1, bins) / bins
    after = np.searchsorted(upto, wanted)
    nearer = upto[after] - wanted < wanted - (upto[after] - times[after])
    cuts = np.unique(after + nearer)
    cuts = cuts[(cuts > 0) & (cuts < distinct.size)]
    alone = times * bins >= rows
    cuts = cuts[~(alone[cuts - 1] | alone[cuts])]
    reach = 0.5 if whole else _ROUNDING * max(abs(distinct[0]), abs(distinct[-1])) or _ROUNDING
    most = np.finfo(np.float64).max
    room = np.diff(distinct / 2)  # to halfway to the next
    below = distinct - np.minimum(reach, np.concatenate([[reach], room]))
    above = distinct + np.minimum(reach, np.concatenate([room, [reach]]))
    between = distinct[cuts - 1] / 2 + distinct[cuts] / 2
    edges = np.concatenate([below[:1], above[-1:], below[alone], above[alone], between])
    return tuple(np.unique(np.clip(edges, -most, most)).tolist())


def _plain_numbers(column: Sequence[Any]) -> Any:
    return np.array(column, dtype=np.float64)  # None is no number, as numpy sees it


def _moments(column: Sequence[Any]) -> Any:
    """To the second: each is spelled in UTC, or as its clock shows it."""
    texts = [None if value is None else value[:19] for value in column]
    moments = np.array(texts, dtype="datetime64[s]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.float64))


def _lengths(column: Sequence[Any]) -> Any:
    return np.array([None if value is None else len(value) for value in column], dtype=np.float64)


def _means(column: Sequence[Any]) -> Any:
    present = [value for value in column if value is not None]
    found = np.full(len(column), np.nan)
    if present:
        there = [value is not None for value in column]
        found[there] = np.array(present, dtype=np.float64).reshape(len(present), -1).mean(axis=1)
    return found


_NUMBERS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "number": _plain_numbers,
    "moment": _moments,
    "length": _lengths,
    "mean": _means,
}
