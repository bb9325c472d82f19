"""Batches: rows of Arrow as columns for the model, checked a column at a time where its type allows it.

A batch in which anything does not fit is checked once more row by row, so that the refusal is the same as for JSON.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.answers import Columns
from contract.signature import Field
from serving.fields import limits, observed
from serving.problems import Problem
from serving.requests import RequestSchema, Unlike
from serving.tables.buffers import from_numbers
from serving.tables.chunk import Chunk, checked

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT = 2**53
"""Up to here whole numbers are exact as doubles; what is larger is read one by one."""


class Batches:
    """Makes chunks of the batches of one stream."""

    def __init__(self, schema: RequestSchema, names: list[str]) -> None:
        """Prepare for columns of these names.

        Raises:
            Problem: they are not those of the signature.
        """
        if problem := schema.refusals.check_names(names):
            raise problem
        self._schema = schema
        self._columns = [
            _Column(field, names.index(field.name), schema.max_text_chars) for field in schema.signature.inputs
        ]
        self._whole = all(column.whole for column in self._columns)

    def chunk(self, batch: pa.RecordBatch, first: int) -> Chunk:
        """The rows of a batch, up to one that does not fit."""
        return (self._as_a_whole(batch, first) if self._whole else None) or self._by_row(batch, first)

    def _as_a_whole(self, batch: pa.RecordBatch, first: int) -> Chunk | None:
        columns: Columns = {}
        strange = np.zeros(batch.num_rows, dtype=np.bool_)
        for column in self._columns:
            found = column.read(batch.column(column.index))
            if found is None:
                return None
            columns[column.field.name], outside = found
            if outside is not None:
                strange |= outside
        unlike: Unlike = {}
        if strange.any():
            places = strange.nonzero()[0]
            few: Columns = {name: _taken(values, places) for name, values in columns.items()}
            unlike = {int(places[place]): found for place, found in self._schema.unlike(few).items()}
        return Chunk(first, batch.num_rows, columns, unlike)

    def _by_row(self, batch: pa.RecordBatch, first: int) -> Chunk:
        names = [column.field.name for column in self._columns]
        values = [_values(batch.column(column.index)) for column in self._columns]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        found: tuple[list[Any], Problem | None] = self._schema.check(rows, first)
        return checked(*found, first, self._schema)


class _Column:
    """Checks one field as a whole column."""

    def __init__(self, field: Field, index: int, longest: int | None) -> None:
        self.field = field
        self.index = index
        self._longest = longest
        texts = all(isinstance(level, str) for level in field.levels or ())
        kinds = {"float": self._numbers, "integer": self._numbers, "boolean": self._flags}
        self._read = kinds.get(field.type) or partial(self._texts, frozenset(field.levels or ()))
        self.whole = field.type in kinds or (field.type in ("string", "category") and texts)
        self._limits = limits(field) if field.type in kinds else None
        self._observed = observed(field) if field.type in kinds else None

    def read(self, array: pa.Array) -> tuple[Any, Any] | None:
        """The values, and of each whether there may be a warning (None: of none); None where some do not fit."""
        return None if array.null_count and not self.field.nullable else self._read(array)

    def _numbers(self, array: pa.Array) -> tuple[Any, Any] | None:
        found = from_numbers(array)
        if found is None or found[0].dtype.kind not in ("fiu" if self.field.type == "float" else "iu"):
            return None
        values, valid = found
        whole = values.dtype.kind in "iu"
        if self.field.type == "float":
            values = values.astype(np.float64, copy=False)
        there = values if valid is None else values[valid]
        outside = None
        if len(there):
            least, most = there.min(), there.max()  # not a number if one is none, which is then not within the limits
            low, high = self._limits or (-np.inf, np.inf)
            if not (low <= least and most <= high) or not (np.isfinite(least) and np.isfinite(most)):
                return None
            if whole and not -_EXACT <= least <= most <= _EXACT:
                return None
            if self._observed and not (self._observed[0] <= least and most <= self._observed[1]):
                outside = (values < self._observed[0]) | (values > self._observed[1])
        return _with_gaps(values, valid), outside

    def _flags(self, array: pa.Array) -> tuple[Any, Any] | None:
        found = from_numbers(array)
        if found is None or found[0].dtype != np.bool_:
            return None
        return _with_gaps(*found), None

    def _texts(self, levels: frozenset[Any], array: pa.Array) -> tuple[Any, Any] | None:
        import pyarrow as pa

        kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return None
        encoded = array.dictionary_encode()
        numbers = from_numbers(encoded.indices)
        choices = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
        if numbers is None or None in choices[:-1]:
            return None
        if self._longest and any(len(choice) > self._longest for choice in choices[:-1]):
            return None
        places, valid = numbers
        if valid is not None:
            places = np.where(valid, places, len(choices) - 1)
        outside = None
        if levels:
            new = np.array([choice is not None and choice not in levels for choice in choices])[places]
            if new.any():
                if self.field.type == "category":
                    return None
                outside = new
        return choices[places].tolist(), outside


def _with_gaps(values: Any, valid: Any) -> Any:
    """The values, as a list with None where there is none."""
    if valid is None:
        return values
    return [value if there else None for value, there in zip(values.tolist(), valid.tolist(), strict=True)]


def _taken(values: Any, places: Any) -> list[Any]:
    return values[places].tolist() if hasattr(values, "tolist") else [values[place] for place in places]


def _values(array: pa.Array) -> list[Any]:
    """The values as JSON has them: dates and times as texts, decimals as numbers."""
    import pyarrow as pa

    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _values(array.storage)
    try:
        if pa.types.is_decimal(kind):
            array = array.cast(pa.float64())
        elif pa.types.is_temporal(kind):
            array = array.cast(pa.string())
    except pa.ArrowException:  # no type that any field has
        return [object()] * len(array)
    return array.to_pylist()  # type: ignore[no-any-return]
