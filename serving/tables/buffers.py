"""Buffers: between arrays of Arrow and plain values, by way of memory alone.

pyarrow's own conversions (`pa.array`, `to_numpy`) import pandas where it is installed, which the service never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.tables.layout import Column, Kind, Picked

if TYPE_CHECKING:
    import pyarrow as pa

_TYPES: dict[Kind, Any] = {"float": np.float64, "integer": np.int64, "unsigned": np.uint64, "boolean": np.bool_}
_NUMBERS = {"double": np.float64, "float": np.float32, "halffloat": np.float16} | {
    f"{sign}int{bits}": np.dtype(f"{sign}int{bits}").type for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def type_of(column: Column) -> pa.DataType:
    """The type that a column has in Arrow."""
    import pyarrow as pa

    names: dict[Kind, str] = {"float": "float64", "integer": "int64", "unsigned": "uint64", "boolean": "bool_"}
    found = getattr(pa, names.get(column.kind, "string"))()
    for _ in column.shape:
        found = pa.list_(found)
    return found


def to_array(values: Any, column: Column) -> pa.Array:
    """The values of a column: a list in which None stands for nothing, an array of numpy, or `Picked`."""
    if isinstance(values, Picked):
        return _picked(values, column)
    missing = [value is None for value in values] if isinstance(values, list) and None in values else None
    valid = None if missing is None else ~np.array(missing)
    if column.shape:
        return _nested(values, valid, column)
    if column.kind == "string":
        return texts(["" if value is None else value for value in values], valid)
    if valid is not None:
        values = [0 if value is None else value for value in values]
    return numbers(np.asarray(values, dtype=_TYPES[column.kind]), type_of(column), valid)


def numbers(array: Any, kind: pa.DataType, valid: Any = None) -> pa.Array:
    """An array of numbers or booleans; `valid` says of each whether it is there."""
    import pyarrow as pa

    content = _bits(array) if array.dtype == np.bool_ else pa.py_buffer(np.ascontiguousarray(array))
    return pa.Array.from_buffers(kind, len(array), [None if valid is None else _bits(valid), content])


def texts(values: Sequence[str], valid: Any = None) -> pa.Array:
    """An array of texts."""
    import pyarrow as pa

    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    validity = None if valid is None else _bits(valid)
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(values), buffers).cast(pa.string())


def numbered(prefix: str, first: int, count: int) -> pa.Array:
    """The texts `prefix-first` and so on, one for each of `count` rows."""
    import pyarrow as pa

    head = np.frombuffer(f"{prefix}-".encode(), dtype=np.uint8)
    parts, lengths = [], []
    while count:
        width = len(str(first))
        some = min(count, 10**width - first)
        rows = np.empty((some, len(head) + width), dtype=np.uint8)
        rows[:, : len(head)] = head
        rest = np.arange(first, first + some)
        for place in range(rows.shape[1] - 1, len(head) - 1, -1):
            rest, digit = np.divmod(rest, 10)
            rows[:, place] = digit + ord("0")
        parts.append(rows.ravel())
        lengths.append(np.full(some, rows.shape[1]))
        first, count = first + some, count - some
    offsets = np.concatenate([[0], *lengths]).cumsum(dtype=np.int32)
    content = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(content)])


def sparse_texts(found: dict[int, str], count: int) -> pa.Array:
    """Texts of which most are empty."""
    import pyarrow as pa

    if found:
        return texts([found.get(place, "") for place in range(count)])
    offsets = pa.py_buffer(np.zeros(count + 1, dtype=np.int32))
    return pa.Array.from_buffers(pa.string(), count, [None, offsets, pa.py_buffer(b"")])


def from_numbers(array: pa.Array) -> tuple[Any, Any] | None:
    """The numbers or booleans of an array, and whether each is there (None: all are); None for another type."""
    import pyarrow as pa

    if pa.types.is_boolean(array.type):
        content: Any = _flags(array.buffers()[1], array)
    else:
        dtype = _NUMBERS.get(str(array.type))
        if dtype is None:
            return None
        content = np.frombuffer(array.buffers()[1] or b"", dtype=dtype)[array.offset : array.offset + len(array)]
    return content, _flags(array.buffers()[0], array) if array.null_count else None


def _flags(buffer: pa.Buffer, array: pa.Array) -> Any:
    """Bits as booleans."""
    begin = array.offset // 8
    found = np.frombuffer(buffer or b"", dtype=np.uint8)[begin : (array.offset + len(array) + 7) // 8]
    return np.unpackbits(found, bitorder="little")[array.offset % 8 :][: len(array)].astype(np.bool_)


def _bits(flags: Any) -> pa.Buffer:
    import pyarrow as pa

    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _picked(values: Picked, column: Column) -> pa.Array:
    import pyarrow as pa

    places = numbers(values.places.astype(np.int64, copy=False), pa.int64())
    return _choices(tuple(values.choices), column).take(places)


@lru_cache(64)
def _choices(choices: tuple[Any, ...], column: Column) -> pa.Array:
    return to_array(list(choices), column)


def _nested(values: Any, valid: Any, column: Column) -> pa.Array:
    import pyarrow as pa

    empty = np.zeros(column.shape, dtype=_TYPES[column.kind])
    rows = np.array([empty if value is None else value for value in values], dtype=_TYPES[column.kind])
    flat = Column(column.name, column.kind)
    found = numbers(rows.ravel(), type_of(flat))
    kind, length = found.type, len(found)
    for axis in reversed(column.shape):
        kind, length = pa.list_(kind), length // axis
        offsets = pa.py_buffer(np.arange(0, (length + 1) * axis, axis, dtype=np.int32))
        outermost = length == len(values) and valid is not None and kind == type_of(column)
        found = pa.Array.from_buffers(kind, length, [_bits(valid) if outermost else None, offsets], children=[found])
    return found
