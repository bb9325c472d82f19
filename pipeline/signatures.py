"""Infers the signature of a model: the fields from all rows it saw, the output from the fitted object itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from contract.answers import Columns
from contract.errors import ExportRefused
from contract.signature import Field, FieldType, Output, Scalar, Signature

MAX_LEVELS = 50
Bounds = Mapping[str, tuple[float, float]]


def as_frame(rows: Any, what: str) -> tuple[pd.DataFrame, Literal["frame", "array"]]:
    """Rows as a DataFrame, and what they were; the columns of an array are called x0, x1, …

    Raises:
        ExportRefused: they are neither a DataFrame nor a two-dimensional array, or their columns cannot be fields.
    """
    if isinstance(rows, pd.DataFrame):
        strange = [name for name in rows.columns if not isinstance(name, str)]
        if strange:
            raise ExportRefused(
                f"Column names are texts; {what} has {strange[0]!r}: use `.rename(columns=str)` before the fit."
            )
        if not rows.columns.is_unique:
            twice = rows.columns[rows.columns.duplicated()][0]
            raise ExportRefused(f"{what} has two columns called '{twice}'; each field needs a name of its own.")
        frame, container = rows, "frame"
    elif isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype.kind in "fiub":
        frame, container = pd.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])]), "array"
    else:
        found = f"an array of shape {rows.shape} and type {rows.dtype}" if isinstance(rows, np.ndarray) else _a(rows)
        raise ExportRefused(f"{what} is {found}; give a DataFrame or a two-dimensional array of numbers.")
    if frame.empty:
        raise ExportRefused(
            f"{what} has {len(frame)} rows and {frame.shape[1]} columns; at least one of each is needed."
        )
    return frame, container  # type: ignore[return-value]  # mypy widens the literal of a tuple


def as_columns(frame: pd.DataFrame) -> Columns:
    """The rows as plain Python values by column, None where one is missing."""
    return {
        str(name): [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]
        for name, column in frame.items()
    }


def infer_inputs(
    frame: pd.DataFrame, example: pd.Series[Any], bounds: Bounds, units: Mapping[str, str]
) -> tuple[Field, ...]:
    """The fields of `frame`, from all its rows, with `example` as the row that callers are shown.

    Raises:
        ExportRefused: a column holds what no field type carries, or `bounds` or `units` do not fit the columns.
    """
    for what, named in (("bounds", bounds), ("units", units)):
        unknown = [name for name in named if name not in frame.columns]
        if unknown:
            raise ExportRefused(
                f"{what}= names '{unknown[0]}', which is no column; there are {', '.join(frame.columns)}."
            )
    return tuple(
        _field(frame[name], example[name], bounds.get(name), units.get(name, "")) for name in map(str, frame.columns)
    )


def infer_output(model: Any, classes: Sequence[Scalar] | Mapping[Any, Scalar] | None) -> Output:
    """What the model answers for one row: class labels if it has `classes_`, else a number.

    Raises:
        ExportRefused: the labels are no plain values, or `classes` does not name each of them once.
    """
    found = getattr(model, "classes_", None)
    if found is None:
        if classes is not None:
            raise ExportRefused(f"classes= is for classifiers; {_a(model)} has no `classes_`.")
        return Output(task="regression")
    if isinstance(found, list):
        raise ExportRefused(f"{_a(model)} answers several labels per row; one is supported.")
    labels = tuple(found.tolist())
    names = _class_names(labels, classes)
    return Output(task="classification", labels=labels, classes=names, probabilities=hasattr(model, "predict_proba"))


def _class_names(
    labels: tuple[Any, ...], classes: Sequence[Scalar] | Mapping[Any, Scalar] | None
) -> tuple[Scalar, ...]:
    if not all(isinstance(label, bool | int | float | str) for label in labels):
        raise ExportRefused(f"The classes are {_a(labels[0])} and the like; they must be texts, numbers or booleans.")
    if classes is None:
        return labels
    if isinstance(classes, Mapping):
        missing = [label for label in labels if label not in classes]
        if missing:
            raise ExportRefused(
                f"classes= has no name for the class {missing[0]!r}; the model's are {_listed(labels)}."
            )
        classes = [classes[label] for label in labels]
    names = tuple(name.item() if isinstance(name, np.generic) else name for name in classes)
    if len(names) != len(labels) or len(set(names)) != len(names):
        raise ExportRefused(
            f"classes= has {len(names)} names ({_listed(names)}); the model has {len(labels)} classes ({_listed(labels)}), "
            "each needs one of its own, in this order."
        )
    return names


def _field(column: pd.Series[Any], example: Any, bounds: tuple[float, float] | None, unit: str) -> Field:
    name, dtype = str(column.name), str(column.dtype)
    present = column.dropna()
    kind = _kind(present, name)
    limits = _range(present, kind, name)
    if bounds is not None:
        if limits is None:
            raise ExportRefused(f"bounds= has limits for '{name}', which holds no numbers.")
        low, high = bounds
        if not (low <= limits[0] and limits[1] <= high):
            raise ExportRefused(
                f"The bounds of '{name}' are {low} to {high}, but the rows hold {limits[0]:g} to {limits[1]:g}: "
                "widen the bounds, or leave those rows out before the fit."
            )
        bounds = (low, high)
    return Field(
        name=name,
        type=kind,
        dtype=dtype,
        nullable=len(present) < len(column),
        unit=unit,
        bounds=bounds,
        observed=limits,
        levels=_levels(column, present, kind),
        example=None if pd.isna(example) else example.item() if isinstance(example, np.generic) else example,
    )


def _kind(present: pd.Series[Any], name: str) -> FieldType:
    if isinstance(present.dtype, pd.CategoricalDtype):
        if all(isinstance(level, str) for level in present.cat.categories):
            return "category"
        raise ExportRefused(
            f"The categories of '{name}' are no texts; use `.astype(str)` or plain numbers before the fit."
        )
    kinds = {type(value) for value in present.tolist()}
    for types, kind in _KINDS:
        if kinds and kinds <= types:
            return kind
    if not kinds:
        raise ExportRefused(f"Column '{name}' holds no value at all; leave it out before the fit.")
    raise ExportRefused(
        f"Column '{name}' holds {', '.join(sorted(found.__name__ for found in kinds))}; "
        "a field holds numbers, booleans or texts, one kind of them."
    )


_KINDS: tuple[tuple[set[type], FieldType], ...] = (
    ({bool}, "boolean"),
    ({int}, "integer"),
    ({int, float}, "float"),
    ({str}, "string"),
)


def _range(present: pd.Series[Any], kind: FieldType, name: str) -> tuple[int | float, int | float] | None:
    if kind not in ("integer", "float"):
        return None
    low, high = min(present.tolist()), max(present.tolist())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ExportRefused(
            f"Column '{name}' holds an infinite number, which no request could send; replace it before the fit."
        )
    return low, high


def _levels(column: pd.Series[Any], present: pd.Series[Any], kind: FieldType) -> tuple[str, ...] | None:
    if kind == "category":
        return tuple(column.cat.categories)
    if kind == "string":
        seen = sorted(set(present.tolist()))
        return tuple(seen) if len(seen) <= MAX_LEVELS else None
    return None


def _a(thing: Any) -> str:
    kind = type(thing).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values[:10])) + (", …" if len(values) > 10 else "")
