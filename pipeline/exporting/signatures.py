"""Infers the fields of a signature from all rows a model saw: from the values, not from what a dtype is called."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from contract.answers import Columns
from contract.errors import ExportRefused
from contract.signature import Field, FieldType, Scalar, Signature
from pipeline.exporting.intake import Rows

MAX_LEVELS = 50
"""More texts than this are not listed, unless they are categories."""
Bounds = Mapping[str, tuple[float, float]]


def infer_inputs(
    rows: Rows,
    example: pd.Series[Any],
    bounds: Bounds,
    units: Mapping[str, str],
    categories: Collection[str] = (),
) -> tuple[Field, ...]:
    """The fields, from all `rows`, with `example` as the row that callers are shown.

    Text columns named in `categories` become closed lists of the levels that the rows hold.

    Raises:
        ExportRefused: a column holds what no field type carries, or `bounds` or `units` do not fit the columns.
    """
    frame = rows.frame
    for what, named in (("bounds", bounds), ("units", units)):
        unknown = [name for name in named if name not in frame.columns]
        if unknown:
            raise ExportRefused(
                f"{what}= names '{unknown[0]}', which is no column; there are {', '.join(frame.columns)}."
            )
    dtype = str(rows.given.dtype) if rows.container in ("array", "sparse", "column") else None
    fields = []
    for name in frame.columns:
        field = _field(frame[name], bounds.get(name), units.get(name, ""), name in categories)
        if dtype is not None:
            field = field.model_copy(update={"dtype": dtype})
        if rows.container in ("list", "series", "column") and field.type == "string":
            field = field.model_copy(update={"levels": None})  # a text that is all there is of a row is free text
        shown = as_plain(pd.Series([example[name]], dtype=object), field)[0]
        fields.append(field.model_copy(update={"column": rows.labels.get(name), "example": shown}))
    return tuple(fields)


def as_columns(frame: pd.DataFrame, signature: Signature) -> Columns:
    """The rows by field as JSON has them: plain Python values, None where one is missing."""
    return {field.name: as_plain(frame[field.name], field) for field in signature.inputs}


def as_plain(column: pd.Series[Any], field: Field) -> list[Any]:
    """The values of one column as JSON has them."""
    missing = column.isna()
    values = [None if gone else _item(value) for value, gone in zip(column.tolist(), missing, strict=True)]
    match field.type:
        case "date":
            return [None if value is None else value.isoformat()[:10] for value in values]
        case "datetime" if "," in field.dtype or any(value is not None and value.tzinfo for value in values):
            return [None if value is None else pd.Timestamp(value).tz_convert("UTC").isoformat() for value in values]
        case "datetime":
            return [None if value is None else value.isoformat() for value in values]
        case "tensor":
            return [None if value is None else np.asarray(value).tolist() for value in values]
        case "float":
            return [float(value) if isinstance(value, Decimal) else value for value in values]
    return values


def draw(signature: Signature, rows: int) -> tuple[Signature, Columns]:
    """Rows that nobody had, drawn field by field from the observed ranges and levels; the signature shows the first."""
    rng = np.random.default_rng(0)
    columns: Columns = {field.name: _drawn(field, rows, rng) for field in signature.inputs}
    fields = tuple(field.model_copy(update={"example": columns[field.name][0]}) for field in signature.inputs)
    return signature.model_copy(update={"inputs": fields}), columns


def _drawn(field: Field, rows: int, rng: np.random.Generator) -> list[Any]:
    if field.observed is None:
        choices = [False, True] if field.type == "boolean" else list(field.levels or ("text",))
        return [choices[i] for i in rng.integers(len(choices), size=rows)]
    if field.type in ("date", "datetime"):
        first, last = map(pd.Timestamp, field.observed)
        days = rng.uniform(size=rows)
        drawn = pd.Series([(first + (last - first) * share).floor("s") for share in days])
        return as_plain(drawn, field)
    low, high = map(float, field.observed)
    numbers = rng.uniform(low, high, size=(rows, *field.shape))
    whole = field.type == "integer" or (field.type == "tensor" and np.dtype(_element(field)).kind in "iu")
    listed: list[Any] = numbers.round().astype(int).tolist() if whole else numbers.tolist()
    return listed


def _element(field: Field) -> str:
    return "float64" if field.dtype == "list" else field.dtype


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _field(column: pd.Series[Any], bounds: tuple[float, float] | None, unit: str, closed: bool) -> Field:
    name = str(column.name)
    present = column.dropna()
    kind = _kind(present, name)
    dtype = str(column.dtype)
    shape: tuple[int, ...] = ()
    if kind == "tensor":
        dtype, shape = _shape(present, name)
    observed = None if closed else _range(present, kind, name)
    if bounds is not None and (closed or kind not in ("integer", "float", "tensor")):
        raise ExportRefused(f"bounds= has limits for '{name}', which holds no numbers.")
    kind = "category" if closed else kind
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and bool(column.dtype.ordered)
    return Field(
        name=name,
        type=kind,
        dtype=dtype,
        nullable=len(present) < len(column),
        unit=unit,
        shape=shape,
        ordered=ordered,
        bounds=None if bounds is None else _checked(bounds, observed or (0, 0), name),
        observed=observed,
        levels=_levels(column, present, kind),
    )


def _kind(present: pd.Series[Any], name: str) -> FieldType:
    if present.empty:
        raise ExportRefused(f"Column '{name}' holds no value at all; leave it out before the fit.")
    if isinstance(present.dtype, pd.CategoricalDtype):
        if {type(_item(level)) for level in present.cat.categories} in ({str}, {int}, {bool}):
            return "category"
        raise ExportRefused(
            f"The categories of '{name}' are no texts or whole numbers; use `.astype(str)` or plain numbers before "
            "the fit."
        )
    if simple := _DTYPES.get(getattr(present.dtype, "kind", "")):
        return simple
    kinds = {type(_item(value)) for value in present.tolist()}
    if kinds <= {datetime, pd.Timestamp} or kinds == {date}:
        return _temporal(present, name)
    for types, kind in _KINDS:
        if kinds <= types:
            return kind
    raise ExportRefused(
        f"Column '{name}' holds {', '.join(sorted(found.__name__ for found in kinds))}; a field holds numbers, "
        "booleans, texts, dates or lists of numbers, one kind of them: convert it with `.astype(…)` before the fit."
    )


_DTYPES: dict[str, FieldType] = {"f": "float", "i": "integer", "u": "integer", "b": "boolean"}
_KINDS: tuple[tuple[set[type], FieldType], ...] = (
    ({bool}, "boolean"),
    ({int}, "integer"),
    ({int, float, Decimal}, "float"),
    ({str}, "string"),
    ({list, tuple, np.ndarray}, "tensor"),
)


def _temporal(present: pd.Series[Any], name: str) -> FieldType:
    """Whether these are days or moments: days where no value has a time."""
    moments = [value for value in present.tolist() if isinstance(value, datetime)]
    if len({value.tzinfo is None for value in moments}) > 1:
        raise ExportRefused(
            f"Column '{name}' holds times with a zone and times without one; give all of them one, e.g. "
            "`pd.to_datetime(…, utc=True)`, before the fit."
        )
    plain = all(value.tzinfo is None and value.time() == time() for value in moments)
    return "date" if plain else "datetime"


def _shape(present: pd.Series[Any], name: str) -> tuple[str, tuple[int, ...]]:
    """How the elements of a tensor are held, and the length of each axis."""
    values = present.tolist()
    try:
        shapes = {np.shape(value) for value in values}
        numbers = {np.asarray(value).dtype.kind for value in values} <= set("fiub")
        sound = numbers and len(shapes) == 1 and 0 not in min(shapes)
    except ValueError:
        sound = False
    if not sound:
        raise ExportRefused(
            f"Column '{name}' holds lists that are not all of one length, or not of numbers; make them equally long "
            "before the fit."
        )
    dtype = str(values[0].dtype) if isinstance(values[0], np.ndarray) else "list"
    return dtype, next(iter(shapes))


def _range(present: pd.Series[Any], kind: FieldType, name: str) -> Any:
    low: Any
    high: Any
    if kind == "tensor":
        low = float(min(np.min(value) for value in present))
        high = float(max(np.max(value) for value in present))
    elif kind in ("integer", "float"):
        low, high = (_item(limit) for limit in (present.min(), present.max()))
        low, high = (float(limit) if isinstance(limit, Decimal) else limit for limit in (low, high))
    elif kind in ("date", "datetime"):
        limits = pd.Series([min(present), max(present)], dtype=object)
        return tuple(as_plain(limits, Field(name=name, type=kind, dtype=str(present.dtype))))
    else:
        return None
    for limit in (low, high):
        if not (math.isfinite(limit) if isinstance(limit, float) else -(2**63) <= limit < 2**63):
            raise ExportRefused(
                f"Column '{name}' holds {limit}, which no request could send; replace it before the fit."
            )
    return low, high


def _checked(bounds: Any, observed: tuple[float, float], name: str) -> tuple[float, float]:
    limits = tuple(map(_item, bounds)) if isinstance(bounds, Iterable) else ()
    if len(limits) != 2 or not all(isinstance(limit, int | float) and abs(limit) < math.inf for limit in limits):
        raise ExportRefused(
            f"bounds= has {bounds!r:.60} for '{name}'; give the lowest and the highest number it may be."
        )
    low, high = limits
    if not (low <= observed[0] and observed[1] <= high):
        raise ExportRefused(
            f"The bounds of '{name}' are {low} to {high}, but the rows hold {observed[0]} to {observed[1]}: "
            "widen the bounds, or leave those rows out before the fit."
        )
    return low, high


def _levels(column: pd.Series[Any], present: pd.Series[Any], kind: FieldType) -> tuple[Scalar, ...] | None:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(map(_item, column.cat.categories))
    if kind in ("category", "string"):
        seen = sorted(set(map(_item, present.tolist())))
        few = len(seen) <= min(MAX_LEVELS, len(present) / 2)  # else it is a name or a free text
        return tuple(seen) if kind == "category" or few else None
    return None
