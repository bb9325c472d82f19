"""A survey of a file: the task that its target sets, and what its other columns are good for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pipeline.scaffolding.columns import NUMBERS, Column, Kind, holds, judged, numbers_among
from pipeline.scaffolding.datafile import DataFile, DataRefused

FEWEST_ROWS = 20
FEWEST_OF_A_CLASS = 4
"""As many rows put at least one on the smaller side of a split by quarters."""
MOST_CLASSES = 100
MOST_NUMBERED_CLASSES = 15
"""Of whole numbers; more than these are a quantity unless somebody says otherwise."""
_MOST_SHOWN = 20

Task = Literal["classification", "regression"]
Made = Literal["", "int", "float", "bool", "str"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be predicted."""

    name: str
    task: Task
    made: Made
    """The type that its values have to be made."""
    written: bool
    """Numbers among a few texts, whose rows are left out."""
    classes: tuple[tuple[str, int], ...]
    """The classes, each with its rows, the most frequent first; none for a regression."""
    unknown: int
    """Rows without a value."""

    @property
    def rare(self) -> tuple[str, ...]:
        """The classes with too few rows to be learned."""
        return tuple(name for name, rows in self.classes if rows < FEWEST_OF_A_CLASS)


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in a file."""

    file: DataFile
    target: Target
    columns: tuple[Column, ...]

    def of(self, kind: Kind | None) -> list[Column]:
        """The columns of one kind, or those left out, in the order of the file."""
        return [column for column in self.columns if column.kind == kind]


def survey(file: DataFile, target: str, task: Task | None = None) -> Survey:
    """Look at each column of the file, and at what the target asks for.

    Raises:
        DataRefused: the target is no column or none that can be learned, or nothing is left to learn from.
    """
    names = [str(name) for name in file.rows]
    if target not in names:
        raise DataRefused(f"{file.path} has no column {target!r}{_nearest(target, names)}; it has {_listed(names)}.")
    truth, written = numbers_among(file.rows[target])
    known = truth.notna()
    rows, truth = file.rows[known], truth[known]
    if rows.empty:
        raise DataRefused(f"The column {target!r} of {file.path} holds no value at all.")
    if len(rows) < FEWEST_ROWS:
        raise DataRefused(
            f"{file.path} has {len(rows)} rows with a {target!r}; at least {FEWEST_ROWS} are needed, to learn from and "
            "to be examined on."
        )
    found, made = _task(
        truth, target, task, sure=file.whole and file.rows[target].dtype != object and bool(known.all())
    )
    aim = Target(
        target,
        found,
        made,
        written,
        _classes(truth.astype(int) if made == "int" else truth, target) if found == "classification" else (),
        int((~known).sum()),
    )
    columns = [_unless_same(judged(rows[name], whole=file.whole), rows, target) for name in names if name != target]
    if all(column.kind is None for column in columns):
        why = "; ".join(f"{column.name!r:.60}: {column.reason}" for column in columns[:3]) or "there is no other"
        raise DataRefused(f"Beside {target!r}, {file.path} has no column to learn from ({why}).")
    return Survey(file, aim, tuple(columns))


def _task(truth: pd.Series, target: str, asked: Task | None, *, sure: bool) -> tuple[Task, Made]:
    """What to learn, and the type that the values have to be made for it; not `sure` if other rows may differ."""
    inferred = pd.api.types.infer_dtype(truth, skipna=True)
    number = inferred in NUMBERS
    if not number and inferred not in ("boolean", "string", "categorical"):
        raise DataRefused(f"The column {target!r} holds {holds(inferred)}; a target holds classes or numbers.")
    if number and not np.isfinite(truth.astype(float)).all():
        raise DataRefused(f"The column {target!r} holds infinite numbers; leave those rows out of the file.")
    distinct = truth.nunique()
    if distinct == 1:
        raise DataRefused(
            f"The column {target!r} holds one value only, {_shown(truth)}; there is nothing to tell apart."
        )
    whole = number and bool((truth.astype(float) % 1 == 0).all())
    quantity = number and not (whole and distinct <= MOST_NUMBERED_CLASSES)
    task = asked or ("regression" if quantity else "classification")
    if task == "regression":
        if inferred in ("string", "categorical"):
            raise DataRefused(
                f"The column {target!r} holds texts such as {_shown(truth)}, which no regression predicts; make them "
                "numbers, or ask for a classification."
            )
        return task, "float" if truth.dtype.kind not in "iuf" else ""
    if distinct > MOST_CLASSES or distinct > len(truth) / 2:
        advice = "ask for a regression" if number else "a class needs rows to be learned from"
        raise DataRefused(
            f"The column {target!r} holds {distinct:,} different values in {len(truth):,} rows, too many for classes; "
            f"{advice}."
        )
    if number:
        return task, "str" if not whole else "" if sure and truth.dtype.kind in "iu" else "int"
    return task, "bool" if inferred == "boolean" and not sure else "str" if inferred == "categorical" else ""


def _classes(truth: pd.Series, target: str) -> tuple[tuple[str, int], ...]:
    counts = {str(value): int(rows) for value, rows in truth.value_counts().items() if rows}
    enough = [name for name, rows in counts.items() if rows >= FEWEST_OF_A_CLASS]
    if len(enough) < 2:
        raise DataRefused(
            f"The column {target!r} has {len(counts)} classes, but only {len(enough)} with {FEWEST_OF_A_CLASS} rows or "
            "more; at least two are needed."
        )
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _unless_same(column: Column, rows: pd.DataFrame, target: str) -> Column:
    if rows[column.name].astype(str).equals(rows[target].astype(str)):
        return Column(column.name, None, "the same as the target: it would give the answer away")
    return column


def _nearest(target: str, names: Sequence[str]) -> str:
    folded = {name.casefold().strip(): name for name in names}
    near = difflib.get_close_matches(target.casefold().strip(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN:,} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(f"{name!r:.60}" for name in names[:_MOST_SHOWN]) + more


def _shown(truth: pd.Series) -> str:
    value = truth.iloc[0]
    return f"{value.item() if isinstance(value, np.generic) else value!r:.60}"
