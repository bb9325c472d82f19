"""The baseline: counts per field of the rows a model was trained on, the reference for drift.

Numbers are counted between edges (deciles of the training rows), everything else by value; missing values apart.
The same counting serves whoever compares later rows with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from contract.signature import Record, Signature

BASELINE = "baseline.json"
BINS = 10


class Counts(Record):
    """How often each bin or value of one field occurred.

    With `edges` (ascending, k of them) there are k + 1 counts: below the first, between each two (the left one
    included), from the last on. With `values` there is a count for each, and one more for all others.
    """

    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    counts: tuple[int, ...]
    missing: int


class Baseline(Record):
    """The counts of all fields, by name."""

    rows: int
    fields: dict[str, Counts]


def measure(columns: Iterable[tuple[str, Sequence[Any]]], signature: Signature) -> Baseline:
    """Count training rows: by field, in the signature's order, n values as JSON has them, None where one is missing."""
    fields = {}
    for field, (name, column) in zip(signature.inputs, columns, strict=True):
        assert field.name == name  # the order is the signature's
        if field.type in ("float", "integer"):
            numbers = np.array([value for value in column if value is not None], dtype=np.float64)
            quantiles = np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1]) if numbers.size else np.empty(0)
            fields[field.name] = count(column, edges=tuple(np.unique(quantiles).tolist()))
        else:  # of a free text no value is kept: it may be anybody's
            known = field.levels if field.shape == () else ()
            values = (False, True) if field.type == "boolean" else known or ()
            fields[field.name] = count(column, values=tuple(map(str, values)))
    return Baseline(rows=len(column), fields=fields)


def count(column: Sequence[Any], *, edges: tuple[float, ...] = (), values: tuple[str, ...] = ()) -> Counts:
    """Count one column by the edges or values of a baseline."""
    present = [value for value in column if value is not None]
    missing = len(column) - len(present)
    if edges:
        bins = np.searchsorted(np.array(edges), np.array(present, dtype=np.float64), side="right")
        counted = np.bincount(bins, minlength=len(edges) + 1)
        return Counts(edges=edges, counts=tuple(counted.tolist()), missing=missing)
    seen = Counter(map(str, present) if values else ())  # images and long texts are not written out for nothing
    known = [seen[value] for value in values]
    return Counts(values=values, counts=(*known, len(present) - sum(known)), missing=missing)
