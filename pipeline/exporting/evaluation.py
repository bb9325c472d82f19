"""The held-out rows with their truth: what metrics are computed from, and what a gate scores candidates on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contract.answers import as_list
from contract.errors import ExportRefused
from contract.signature import Output

FILE = "evaluation.parquet"
TRUTH = "__truth__"
MAX_ROWS = 10_000


def truth(targets: Any, output: Output, rows: int) -> list[Any]:
    """The true values of n rows as the model answers them: class names, lists of them, or numbers.

    Classes may be given as the model calls them or as callers know them.

    Raises:
        ExportRefused: there are not n of them, or they are none that this output can take.
    """
    values = _one_a_row(targets, output, rows)
    if len(values) != rows:
        raise ExportRefused(f"targets has {len(values)} values; {rows} rows of inputs need {rows} true values.")
    if output.task == "multilabel":
        return [_applying(row, output) for row in values]
    if output.labels:
        return _names(values, output)
    if output.width and not all(isinstance(row, list) and len(row) == output.width for row in values):
        raise ExportRefused(
            f"The model answers {output.width} numbers a row and targets has another shape, {_shape(values)}. If the "
            "numbers are one for each class, name the classes: classes=[…]."
        )
    flat = [value for row in values for value in row] if output.width else values
    strange = [value for value in flat if not _fits(value, output)]
    if strange:
        raise ExportRefused(
            f"targets holds {strange[0]!r:.60}, which is no {_WORDS.get(output.type, 'finite number')} as the model "
            "answers; give the targets in the form of its answers, and leave out rows that have none."
        )
    return values


def write(frame: pd.DataFrame, true: list[Any], path: Path) -> None:
    """Keep the rows and their truth, up to `MAX_ROWS` of them.

    Raises:
        OSError: the file system refused.
    """
    rows = frame.assign(**{TRUTH: pd.Series(true, dtype=object if true and isinstance(true[0], list) else None)})
    if len(rows) > MAX_ROWS:
        rows = rows.sample(MAX_ROWS, random_state=0)
    for name in rows.columns:
        if isinstance(rows[name].dtype, pd.SparseDtype):
            rows[name] = np.asarray(rows[name])
        if rows[name].dtype == object:
            rows[name] = rows[name].map(lambda value: value.tolist() if isinstance(value, np.ndarray) else value)
    rows.to_parquet(path, index=False)


_WORDS = {"string": "text", "boolean": "truth value", "integer": "whole number"}


def _one_a_row(targets: Any, output: Output, rows: int) -> list[Any]:
    found = as_list(targets)
    several = output.width is not None or output.task == "multilabel"
    if several:
        return found
    if len(output.labels) > 1 and all(_is_one_hot(value, len(output.labels)) for value in found):
        return [output.labels[row.index(1)] for row in found]
    flat = [value[0] if isinstance(value, list) and len(value) == 1 else value for value in found]
    if any(isinstance(value, list) for value in flat):
        raise ExportRefused(f"targets has the shape {_shape(found)}; {rows} rows of inputs need {rows} true values.")
    return flat


def _is_one_hot(row: Any, width: int) -> bool:
    return isinstance(row, list) and len(row) == width and row.count(1) == 1 and row.count(0) == width - 1


def _shape(values: list[Any]) -> str:
    widths = {len(value) if isinstance(value, list) else 0 for value in values}
    try:
        return str(np.shape(values))
    except ValueError:
        return f"({len(values)}, {min(widths)} to {max(widths)})"


def _applying(row: Any, output: Output) -> list[Any]:
    entries = list(row) if isinstance(row, Iterable) and not isinstance(row, str) else [row]
    if len(entries) == len(output.classes) and all(entry in (0, 1) for entry in entries):
        return [name for name, flag in zip(output.classes, entries, strict=True) if flag]
    if all(entry in output.classes for entry in entries):
        return [name for name in output.classes if name in entries]
    raise ExportRefused(f"targets holds {row!r:.60}, which does not say which of {list(output.classes)} apply.")


def _names(values: list[Any], output: Output) -> list[Any]:
    found = []
    for known in (dict(zip(output.labels, output.classes, strict=True)), {name: name for name in output.classes}):
        strange = [value for value in values if not _hashable(value) or value not in known]
        if not strange:
            return [known[value] for value in values]
        found.append((len(strange), strange[0], list(known)))
    _, unknown, classes = min(found, key=lambda one: one[0])  # they are rather those of which fewer are wrong
    raise ExportRefused(f"targets holds {unknown!r:.60}, which is none of the model's classes {classes!r:.300}.")


def _hashable(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


def _fits(value: Any, output: Output) -> bool:
    match output.type:
        case "float":
            return isinstance(value, int | float) and math.isfinite(value)
        case "integer":
            return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        case "boolean":
            return isinstance(value, bool)
    return isinstance(value, str)
