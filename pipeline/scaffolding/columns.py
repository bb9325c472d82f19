"""The columns of a file: what each is good for in the eyes of a model, or why it is left out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

MOST_LEVELS = 30
"""As many texts get a column each; of more, only the most frequent do."""
_FREE_TEXT_WORDS = 3
_NAMES_ROWS = re.compile(r"(?:^|[^a-z])(?:id|ids|uuid|guid|key|index|nr|no|unnamed: \d+)$", re.IGNORECASE)
_NAMES_ROWS_TOO = re.compile(r"[a-z]I[Dd]$")
_DATES = ("%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
_TIMES = ("", " %H:%M", " %H:%M:%S")
_ISO = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"

Kind = Literal["number", "flag", "category", "levels", "text", "date"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it holds as far as a model is concerned, or why it is left out."""

    name: str
    kind: Kind | None
    reason: str = ""
    gaps: bool = False
    written: bool = False
    """Numbers among a few texts, which are to become gaps."""
    infinite: bool = False
    format: str = ""
    """Of dates that are written as text."""
    zoned: bool = False
    timed: bool = False


def judged(column: pd.Series, *, whole: bool) -> Column:
    """What one column is good for; `whole` says whether these are all of its rows."""
    name, present = str(column.name), column.dropna()
    column_gaps = len(present) < len(column) or not whole  # where rows are still unseen, gaps may be among them
    if present.empty:
        return Column(name, None, "no value at all")
    inferred = pd.api.types.infer_dtype(present, skipna=True)
    judge = _JUDGES.get(inferred)
    if judge is None:
        return Column(name, None, f"{holds(inferred)}, which no model takes as they are")
    return judge(name, column, present, column_gaps)


def _number(name: str, column: pd.Series, present: pd.Series, gaps: bool, written: bool = False) -> Column:
    if present.dtype == object:  # decimals, or integers among floats
        present, written = present.astype(float), True
    distinct = present.nunique()
    infinite = bool(np.isinf(present.astype(float)).any())
    if distinct == 1:
        return Column(name, None, _ONE if len(present) == len(column) else "one value and gaps")
    whole = not infinite and bool((present.astype(float) % 1 == 0).all())
    named = _NAMES_ROWS.search(name) or _NAMES_ROWS_TOO.search(name)
    counter = distinct == len(present) and present.iloc[0] in (0, 1) and bool((present.diff().iloc[1:] == 1).all())
    if whole and ((named and distinct > len(present) / 2) or counter):
        return Column(name, None, _NAMES)
    if whole and not -(2**63) <= float(present.abs().max()) < 2**63:
        return Column(name, None, "whole numbers too large to be sent as such")
    return Column(name, "number", gaps=gaps or written or infinite, written=written, infinite=infinite)


def _flag(name: str, column: pd.Series, present: pd.Series, gaps: bool) -> Column:
    if present.nunique() == 1 and len(present) == len(column):
        return Column(name, None, _ONE)
    gappy = len(present) < len(column)
    return Column(name, "category" if gappy else "flag", gaps=gaps)


def _category(name: str, column: pd.Series, present: pd.Series, gaps: bool) -> Column:
    distinct = present.nunique()
    if distinct == 1 and len(present) == len(column):
        return Column(name, None, _ONE)
    return Column(name, "category" if distinct <= MOST_LEVELS else "levels", gaps=gaps)


def _date(name: str, column: pd.Series, present: pd.Series, gaps: bool, form: str = "", zoned: bool = False) -> Column:
    dates = pd.to_datetime(present, utc=zoned)
    if dates.nunique() == 1:
        return Column(name, None, _ONE if len(present) == len(column) else "one value and gaps")
    zoned = zoned or isinstance(dates.dtype, pd.DatetimeTZDtype)
    timed = bool((dates.dt.normalize() != dates).any())
    if not form and column.dtype == object:
        form = "ISO8601"  # dates as Python has them
    return Column(name, "date", gaps=gaps, format=form, zoned=zoned, timed=timed)


def _text(name: str, column: pd.Series, present: pd.Series, gaps: bool) -> Column:
    numbers, written = numbers_among(present)
    if written:
        return _number(name, column, numbers.dropna(), gaps, written=True)
    distinct, rows = present.nunique(), len(present)
    if distinct == 1 and rows == len(column):
        return Column(name, None, _ONE)
    form = _date_format(present)
    if form == _AMBIGUOUS:
        return Column(name, None, "dates in which day and month cannot be told apart")
    if form:
        zoned = form == "ISO8601" and bool(present.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True).any())
        dates = pd.Series(pd.to_datetime(present, format=form, utc=zoned), name=column.name)
        return _date(name, column, dates, gaps, form, zoned)
    if distinct > rows / 2:
        words = present.str.count(r"\b\w\w+\b").mean()
        if words >= _FREE_TEXT_WORDS:
            return Column(name, "text", gaps=gaps)
        several = f"{distinct:,} different texts in {rows:,} rows: too many to learn from"
        return Column(name, None, _NAMES if distinct == rows else several)
    return Column(name, "category" if distinct <= MOST_LEVELS else "levels", gaps=gaps)


def numbers_among(column: pd.Series) -> tuple[pd.Series, bool]:
    """The column as numbers, and True, if it holds such beside a few texts ('?', ' '); else as it is, and False."""
    if pd.api.types.infer_dtype(column, skipna=True) != "string":
        return column, False
    numbers = pd.to_numeric(column, errors="coerce")
    strange = column[numbers.isna() & column.notna()]
    if len(strange) > column.notna().sum() / 10 or strange.nunique() > 10:
        return column, False
    return numbers, True


def _date_format(present: pd.Series) -> str:
    """The one way in which all these dates are written: empty where there is none, or more than one fits."""
    if not present.str.contains(r"^\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", regex=True).all():
        return ""
    if present.str.fullmatch(_ISO).all():
        candidates: Sequence[str] = ("ISO8601",)
    else:
        candidates = [date + time for date in _DATES for time in _TIMES]
    with warnings.catch_warnings(action="ignore"):
        fitting = [form for form in candidates if pd.to_datetime(present, format=form, errors="coerce").notna().all()]
    return _AMBIGUOUS if len(fitting) > 1 else fitting[0] if fitting else ""


def _distinct(column: pd.Series) -> int:
    try:
        return int(column.nunique())
    except TypeError:  # lists and the like, which nobody can count
        return len(column)


def _first(column: pd.Series) -> str:
    value = column.iloc[0]
    return f"{value.item() if isinstance(value, np.generic) else value!r:.60}"


def holds(inferred: str) -> str:
    """What pandas calls the values of a column, in our words."""
    return _WORDS.get(inferred, "values of several kinds" if inferred.startswith("mixed") else f"{inferred} values")


_ONE = "the same value in every row"
_NAMES = "another value in nearly every row: it names the row, and says nothing of a new one"
_AMBIGUOUS = "ambiguous"
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
_WORDS = {"datetime64": "dates", "datetime": "dates", "date": "dates", "timedelta64": "durations", "bytes": "bytes"}
_JUDGES: dict[str, Callable[[str, pd.Series, pd.Series, bool], Column]] = {
    **dict.fromkeys(NUMBERS, _number),
    **dict.fromkeys(("datetime64", "datetime", "date"), _date),
    "boolean": _flag,
    "categorical": _category,
    "string": _text,
}
