"""Infers the signature of a model: the fields from all rows it saw, the output from the fitted object itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from contract.answers import Columns
from contract.errors import ExportRefused
from contract.signature import Field, FieldType, Output, Scalar, Signature

MAX_LEVELS = 50
Bounds = Mapping[str, tuple[float, float]]
Classes = Sequence[Scalar] | Mapping[Any, Scalar]


def as_frame(rows: Any, what: str) -> tuple[pd.DataFrame, Literal["frame", "array"]]:
    """Rows as a DataFrame, and what they were; the columns of an array are called x0, x1 and so on.

    Raises:
        ExportRefused: they are neither a DataFrame nor a two-dimensional array, or their columns cannot be fields.
    """
    container: Literal["frame", "array"]
    if isinstance(rows, pd.DataFrame):
        names: list[Any] = rows.columns.tolist()
        strange = [name for name in names if not isinstance(name, str)]
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
    return frame, container


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


def draw(signature: Signature, rows: int) -> tuple[Signature, Columns]:
    """Rows that nobody had, drawn field by field from the observed ranges and levels; the signature shows the first."""
    rng = np.random.default_rng(0)
    columns: Columns = {}
    for field in signature.inputs:
        if field.observed is not None:
            low, high = field.observed
            numbers = rng.uniform(low, high, size=rows)
            columns[field.name] = numbers.round().astype(int).tolist() if field.type == "integer" else numbers.tolist()
        else:
            choices = [False, True] if field.type == "boolean" else list(field.levels or ("text",))
            columns[field.name] = [choices[i] for i in rng.integers(len(choices), size=rows)]
    fields = tuple(field.model_copy(update={"example": columns[field.name][0]}) for field in signature.inputs)
    return signature.model_copy(update={"inputs": fields}), columns


def infer_output(model: Any, classes: Classes | None) -> Output:
    """What the model answers for one row: class labels if it has `classes_`, else a number.

    Raises:
        ExportRefused: the labels are no plain values, or `classes` does not name each of them once.
    """
    found = getattr(model, "classes_", None)
    if found is None:
        if classes is not None:
            raise ExportRefused(f"classes= is for classifiers; the model, {_a(model)}, has no `classes_`.")
        return Output(task="regression")
    if any(np.ndim(label) for label in found):
        raise ExportRefused(f"The model, {_a(model)}, answers several labels per row; one is supported.")
    labels = _plain(found)
    names = _class_names(labels, classes)
    return Output(task="classification", labels=labels, classes=names, probabilities=hasattr(model, "predict_proba"))


def _plain(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(value.item() if isinstance(value, np.generic) else value for value in values)


def _class_names(labels: tuple[Any, ...], classes: Classes | None) -> tuple[Scalar, ...]:
    if classes is None:
        return _scalars(labels)
    if isinstance(classes, str | set | frozenset):
        raise ExportRefused(f"classes= is {_a(classes)}; give a list in the order {_listed(labels)}, or a mapping.")
    if isinstance(classes, Mapping):
        missing = [label for label in labels if label not in classes]
        if missing:
            raise ExportRefused(
                f"classes= has no name for the class {missing[0]!r}; the model's are {_listed(labels)}."
            )
        classes = [classes[label] for label in labels]
    names = _scalars(_plain(classes))
    if len(names) != len(labels) or len(set(names)) != len(names):
        raise ExportRefused(
            f"classes= has {len(names)} names ({_listed(names)}); the model has {len(labels)} classes "
            f"({_listed(labels)}), each needs one of its own, in this order."
        )
    return names


def _scalars(names: tuple[Any, ...]) -> tuple[Scalar, ...]:
    strange = [name for name in names if not isinstance(name, bool | int | float | str)]
    if strange:
        raise ExportRefused(f"A class is called {strange[0]!r:.60}; classes are texts, numbers or booleans.")
    return names


def _field(column: pd.Series[Any], example: Any, bounds: tuple[float, float] | None, unit: str) -> Field:
    name, dtype = str(column.name), str(column.dtype)
    present = column.dropna()
    kind = _kind(present, name)
    observed = _range(present, kind, name)
    return Field(
        name=name,
        type=kind,
        dtype=dtype,
        nullable=len(present) < len(column),
        unit=unit,
        bounds=None if bounds is None else _checked(bounds, observed, name),
        observed=observed,
        levels=_levels(column, present, kind),
        example=None if pd.isna(example) else example.item() if isinstance(example, np.generic) else example,
    )


def _kind(present: pd.Series[Any], name: str) -> FieldType:
    if present.empty:
        raise ExportRefused(f"Column '{name}' holds no value at all; leave it out before the fit.")
    if isinstance(present.dtype, pd.CategoricalDtype):
        if all(isinstance(level, str) for level in present.cat.categories):
            return "category"
        raise ExportRefused(
            f"The categories of '{name}' are no texts; use `.astype(str)` or plain numbers before the fit."
        )
    kinds = {type(value) for value in present.tolist()}
    for types, kind in _KINDS:
        if kinds <= types:
            return kind
    raise ExportRefused(
        f"Column '{name}' holds {', '.join(sorted(found.__name__ for found in kinds))}; a field holds numbers, "
        "booleans or texts, one kind of them: convert it with `.astype(…)` before the fit."
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
    for limit in (low, high):
        if not (math.isfinite(limit) if isinstance(limit, float) else -(2**63) <= limit < 2**63):
            raise ExportRefused(
                f"Column '{name}' holds {limit}, which no request could send; replace it before the fit."
            )
    return low, high


def _checked(bounds: Any, observed: tuple[float, float] | None, name: str) -> tuple[float, float]:
    if observed is None:
        raise ExportRefused(f"bounds= has limits for '{name}', which holds no numbers.")
    limits = _plain(bounds) if isinstance(bounds, Iterable) else ()
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
