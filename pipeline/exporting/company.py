"""Company: whether a chain says the same of a row when strangers come along, rows unlike all that were given.

What each row says alone and among the others tells nothing where there is one row, or where the rows asked alone miss
the one that differs. Here every row is asked, beside numbers beyond all others, unknown texts, other levels and gaps.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from contract.answers import Answers, Columns, apart, count
from contract.errors import ExportRefused, PredictionError
from contract.formats.chain import apply
from contract.formats.joblib import FittedObject
from contract.formats.rows import as_inputs
from contract.signature import Field
from pipeline.exporting.alone import REMEDY, TOLERANCE, changed_column, is_library
from pipeline.exporting.chains import name_of

_TABLE = 2
"""The axes of one."""
_BEFORE, _AFTER = 1, 2
"""How many strangers come first, and last: order may matter as well."""


def check(fitted: FittedObject, columns: Columns, expected: Answers) -> None:
    """Ask n rows again among strangers, of each kind that the chain answers at all.

    Raises:
        ExportRefused: it then says something else of one of the n, or makes something else of it on the way.
    """
    if all(map(is_library, fitted.chain.steps)):
        return
    rows = range(_BEFORE, _BEFORE + count(columns))
    for among in _companies(fitted, columns):
        try:
            found = fitted.answer(among).take(rows)
        except PredictionError:  # the chain takes no such strangers
            continue
        if told := _changed_step(fitted, columns, among):
            raise ExportRefused(f"{told} {REMEDY}")
        if wrong := apart(found, expected, relative=fitted.signature.output.numeric, tolerance=TOLERANCE):
            row = wrong[0]
            raise ExportRefused(
                f"Row {row} is answered otherwise when other rows come with it: {found.values[row]!r:.60} instead of "
                f"{expected.values[row]!r:.60}. {REMEDY}"
            )


def _companies(fitted: FittedObject, columns: Columns) -> Iterator[Columns]:
    """The rows with strangers in every respect, then in one at a time: not every chain takes all of them."""
    fields = fitted.signature.inputs
    kinds: list[Callable[[Field], list[Any] | None]] = [_numbers, _texts, _levels, _gaps]
    for chosen in (kinds[:3], *([kind] for kind in kinds)):
        strange: dict[str, list[Any]] = {}
        for field in fields:
            for kind in chosen:
                if (values := kind(field)) is not None:
                    strange[field.name] = values
        if strange:
            usual = {field.name: [columns[field.name][0]] * (_BEFORE + _AFTER) for field in fields}
            beside = usual | strange
            yield {
                name: [*beside[name][:_BEFORE], *values, *beside[name][_BEFORE:]] for name, values in columns.items()
            }


def _numbers(field: Field) -> list[Any] | None:
    """Far below and far above all that was seen."""
    if field.type not in ("float", "integer") or field.observed is None:
        return None
    low, high = map(float, field.observed)
    far = 1_000 * (high - low) + 10  # enough to move the mean of a few thousand rows
    numbers = [high + far, 0.0 if field.dtype.lower().startswith("u") else low - far, high + 2 * far]
    return [math.floor(number) for number in numbers] if field.type == "integer" else numbers


def _texts(field: Field) -> list[Any] | None:
    """One that sorts before all others, and some that sort after."""
    return ["zzzz", " aaaa", "zzzzz"] if field.type == "string" else None


def _levels(field: Field) -> list[Any] | None:
    if field.type == "boolean":
        return [True, False, True]
    levels = list(field.levels or ())
    return [levels[-1], levels[0], levels[len(levels) // 2]] if field.type == "category" else None


def _gaps(field: Field) -> list[Any] | None:
    return [None] * (_BEFORE + _AFTER) if field.nullable else None


def _changed_step(fitted: FittedObject, columns: Columns, among: Columns) -> str:
    """The first step that makes something else of a row among strangers, and of which column; empty where none does."""
    rows = count(columns)
    usual, other = as_inputs(columns, fitted.signature), as_inputs(among, fitted.signature)
    with warnings.catch_warnings(action="ignore"):
        for position, step in enumerate(fitted.chain.before, 1):
            usual, other = apply(step, usual), apply(step, other)
            one, another = _table(usual), _table(other)
            if one is None or another is None or len(one) != rows or len(another) != rows + _BEFORE + _AFTER:
                return ""
            another = another.iloc[_BEFORE : _BEFORE + rows].reset_index(drop=True)
            shared = [name for name in one.columns if name in another.columns]
            changed = ~_same(one[shared], another[shared])
            if changed.any():
                row = int(changed.argmax())
                what = changed_column(one[shared], another[shared].iloc[row : row + 1], row)
                if what:
                    return f"{name_of(step, position)} makes another {what} of row {row} when other rows come with it."
    return ""


def _table(made: Any) -> pd.DataFrame | None:
    """What a step made, as a table; None where it is none."""
    made = made.toarray() if hasattr(made, "toarray") else made
    if isinstance(made, pd.DataFrame):
        return made.reset_index(drop=True) if made.columns.is_unique else None
    array = np.asarray(made)
    return pd.DataFrame(array) if array.ndim == _TABLE else None


def _same(one: pd.DataFrame, another: pd.DataFrame) -> Any:
    """Of each row, whether it is the same in both but for rounding."""
    same = np.ones(len(one), dtype=bool)
    for name in one.columns:
        left, right = one[name].to_numpy(), another[name].to_numpy()
        if left.dtype.kind in "fiub" and right.dtype.kind in "fiub":
            same &= np.isclose(left.astype(float), right.astype(float), rtol=TOLERANCE, atol=1e-9, equal_nan=True)
        else:
            same &= (left == right) | (pd.isna(left) & pd.isna(right))
    return same
