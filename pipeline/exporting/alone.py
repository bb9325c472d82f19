"""Row by row: whether a chain says the same of a row that comes alone as of the same row among others.

Where its code needs to know all levels of a text column (`get_dummies` does), the column comes as a categorical with
the levels of all rows; it is tried which ones have to. What still differs looks at the other rows, and is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from contract.answers import Answers, Columns, apart, join
from contract.errors import ExportRefused, PredictionError
from contract.formats.chain import Chain, apply, parts
from contract.formats.joblib import FittedObject
from contract.formats.rows import as_inputs
from contract.signature import Signature
from pipeline.exporting.asking import reason
from pipeline.exporting.chains import name_of

TOLERANCE = 1e-5
"""How far an answer may differ with the number of rows that come together: what float32 arithmetic makes of it."""
_MOST_ROWS = 48
_FEW_ROWS = 12
_MOST_LEVELS = 1_000
_MOST_NUMBERS = 50
_LIBRARIES = ("sklearn", "xgboost", "lightgbm", "catboost", "imblearn")
_REMEDY_COLUMNS = (
    "It knows the levels of a column only from the rows it gets. Where get_dummies makes the columns, give that column "
    "all its levels first, those of the training rows: `df['c'] = pd.Categorical(df['c'], categories=levels)`."
)
_REMEDY_INDEX = (
    "A request has no index but 0, 1, 2, …: put what the step takes from the index into a column, `rows.reset_index()`."
)
REMEDY = (
    "It looks at the other rows. Learn such things once, on the training rows (a fitted scaler or encoder, a mean or a "
    "list of columns kept in a variable), and only use them in the chain."
)


def choose_categories(
    chain: Chain, sign: Callable[[Collection[str]], Signature], frame: pd.DataFrame, columns: Columns, expected: Answers
) -> tuple[str, ...]:
    """The text columns that have to reach the chain as categoricals for it to answer each row as it answers all.

    Args:
        chain: what answers.
        sign: makes the signature with these columns as categories.
        frame: the n rows.
        columns: the same, as a request brings them.
        expected: what the chain says of them together, in the notebook.

    Raises:
        ExportRefused: whatever they come as, a row is answered otherwise when it comes alone.
    """
    if all(map(is_library, chain.steps)):
        return ()
    sample = representative(chain, frame, sign(()))

    def of(categories: Collection[str]) -> FittedObject:
        return FittedObject(chain, sign(categories))

    def works(categories: Collection[str]) -> bool:
        return not _differs(of(categories), columns, expected, sample)

    if works(()):
        return ()
    fitting = [name for name in candidates(sign(()), frame) if _same_together(of([name]), columns, expected)]
    texts = [name for name in fitting if frame[name].dtype.kind not in "iub"]
    for pool in (texts, fitting):
        if pool and works(pool):
            found = fewest(pool, works)
            _check_indicators(of(found), columns, found)
            return found
    told = of(fitting)
    if not _same_together(told, columns, expected):
        told = of(())
    raise ExportRefused(_difference(told, columns, expected, sample))


def _check_indicators(fitted: FittedObject, columns: Columns, categories: Sequence[str]) -> None:
    """See to it that a column such as `city_Rome` says of each row whether its city is Rome.

    It does not where the rows lack a level that the model was fitted on, and the first one is left out as redundant.

    Raises:
        ExportRefused: it does not.
    """
    rows = as_inputs(columns, fitted.signature)
    levels = {field.name: field.levels or () for field in fitted.signature.inputs if field.name in categories}
    for position, step in enumerate(fitted.chain.before, 1):
        rows = apply(step, rows)
        for name, level in ((field, level) for field in categories for level in levels[field]):
            made = f"{name}_{level}"
            if not hasattr(rows, "columns") or made not in rows.columns:
                continue
            expected = [value == level for value in columns[name]]
            if rows[made].tolist() != expected:
                raise ExportRefused(
                    f"{name_of(step, position)} makes a column '{made}' that does not say where '{name}' is {level!r}: "
                    f"'{name}' had levels when the model was fitted that are not among these rows. Give every row as "
                    "all_rows=."
                )


def candidates(signature: Signature, frame: pd.DataFrame) -> list[str]:
    """The columns that may come as categoricals: texts and whole numbers of few levels, those of the fewest first."""
    if signature.container != "frame":
        return []
    most = {"string": _MOST_LEVELS, "integer": _MOST_NUMBERS, "boolean": 2}
    levels = {field.name: frame[field.name].nunique() for field in signature.inputs if field.type in most}
    kinds = {field.name: field.type for field in signature.inputs}
    return sorted((name for name in levels if levels[name] <= most[kinds[name]]), key=lambda name: levels[name])


def fewest(names: Sequence[str], works: Callable[[Collection[str]], bool]) -> tuple[str, ...]:
    """As few of the names as still work: what has the most levels is the least likely to be a closed list."""
    needed = list(names)
    for name in reversed(names):
        without = [other for other in needed if other != name]
        if without and works(without):
            needed = without
    return tuple(needed)


def representative(chain: Chain, frame: pd.DataFrame, signature: Signature) -> list[int]:
    """Rows that stand for all: each level, each extreme, a gap in each column, and some spread evenly over the rest.

    There are fewer of them where only libraries' estimators answer, which take each row by itself.
    """
    most = _FEW_ROWS if all(map(is_library, chain.steps)) else _MOST_ROWS
    chosen: dict[int, None] = {}
    for field in signature.inputs:
        column = frame[field.name].reset_index(drop=True)
        if field.nullable and column.isna().any():
            chosen[int(column.isna().to_numpy().argmax())] = None
        if field.type in ("string", "category", "boolean") and field.shape == ():
            chosen |= dict.fromkeys(column.drop_duplicates().index[:10].tolist())
        elif field.type in ("float", "integer") and column.notna().any():
            chosen |= {int(column.astype(float).argmin()): None, int(column.astype(float).argmax()): None}
    few = list(chosen)[:: max(1, math.ceil(len(chosen) / (most // 2)))]
    spread = np.linspace(0, len(frame) - 1, num=min(len(frame), most - len(few))).round().astype(int)
    return sorted({*few, *spread.tolist()})


def one_by_one(model: Any, columns: Columns, rows: Sequence[int]) -> Answers:
    """What a model says of some rows, each asked alone.

    Raises:
        PredictionError: it could not answer one.
    """
    return join(model.answer(_row(columns, i)) for i in rows)


def _row(columns: Columns, row: int) -> Columns:
    return {name: [values[row]] for name, values in columns.items()}


def _differs(fitted: FittedObject, columns: Columns, expected: Answers, sample: Sequence[int]) -> bool:
    try:
        found = one_by_one(fitted, columns, sample)
    except PredictionError:
        return True
    relative = fitted.signature.output.numeric
    if apart(found, expected.take(sample), relative=relative, tolerance=TOLERANCE):
        return True
    return not _same_together(fitted, columns, expected)


def _same_together(fitted: FittedObject, columns: Columns, expected: Answers) -> bool:
    try:
        found = fitted.answer(columns)
    except PredictionError:
        return False
    return not apart(found, expected, relative=fitted.signature.output.numeric, tolerance=TOLERANCE)


def _difference(fitted: FittedObject, columns: Columns, expected: Answers, sample: Sequence[int]) -> str:
    """Say where a row that comes alone takes another way."""
    if _is_random(fitted, columns):
        return "The chain answers the same rows otherwise each time: it draws random numbers. Fix their seed."
    for i in sample:
        try:
            found = fitted.answer(_row(columns, i))
        except PredictionError as error:
            told = f"Row {i} cannot be answered when it comes alone: {reason(error)}"
            return f"{_first_difference(fitted, columns, i) or f'{told} {REMEDY}'}"
        if apart(found, expected.take([i]), relative=fitted.signature.output.numeric, tolerance=TOLERANCE):
            told = f"Row {i} is answered otherwise when it comes alone"
            values = f"{found.values[0]!r:.60}, among the others {expected.values[i]!r:.60}"
            return f"{_first_difference(fitted, columns, i) or f'{told}: {values}. {REMEDY}'}"
    return (
        "The chain answers the rows otherwise when they come as a request than as they are in the notebook: does a "
        "function use the index, the order or the type of a column?"
    )


def _is_random(fitted: FittedObject, columns: Columns) -> bool:
    try:
        once, again = fitted.answer(columns), fitted.answer(columns)
    except PredictionError:
        return False
    return bool(apart(once, again, relative=fitted.signature.output.numeric, tolerance=TOLERANCE))


def _first_difference(fitted: FittedObject, columns: Columns, row: int) -> str:
    """The first step that makes something else of a row that comes alone, and the column; empty where none does."""
    position, step = 0, None
    try:
        together = as_inputs(columns, fitted.signature)
        alone = as_inputs(_row(columns, row), fitted.signature)
        for position, step in enumerate(fitted.chain.before, 1):
            together, alone = apply(step, together), apply(step, alone)
            lost = _lost_column(together, alone)
            if lost or (changed := changed_column(together, alone, row)):
                what = f"leaves out the column '{lost}'" if lost else f"makes another {changed}"
                told = f"{name_of(step, position)} {what} of row {row} when it comes alone."
                return f"{told} {_REMEDY_COLUMNS if lost else REMEDY}"
    except Exception as error:  # noqa: BLE001  # the step that fails is the one that differs
        told = str(error).partition("\n")[0][:160]
        told = f"{name_of(step, position)} raises {type(error).__name__} ({told}) when row {row} comes alone."
        return f"{told} {_REMEDY_INDEX if 'Index' in told else REMEDY}"
    return ""


def _lost_column(together: Any, alone: Any) -> str:
    if not hasattr(together, "columns") or not hasattr(alone, "columns"):
        return ""
    return next((str(name) for name in together.columns if name not in alone.columns), "")


def changed_column(together: Any, alone: Any, row: int) -> str:
    """The first column in which one row that a step made is not like that row of many; empty where there is none."""
    if hasattr(together, "toarray"):
        together, alone = together.toarray(), alone.toarray()
    if not hasattr(together, "columns"):
        together, alone = pd.DataFrame(np.asarray(together)), pd.DataFrame(np.asarray(alone))
    if len(together) <= row or len(alone) != 1 or len(alone.columns) > len(together.columns):
        return "number of rows or columns"
    for name in together.columns:
        one, other = together[name].iloc[row], alone[name].iloc[0]
        same = one == other or (pd.isna(one) and pd.isna(other))
        if not same and not (isinstance(one, float | np.floating) and np.isclose(one, other, rtol=1e-6, atol=1e-9)):
            what = f"'{name}'" if isinstance(name, str) else f"column {name}" if together.shape[1] > 1 else "value"
            return f"{what} ({_short(other)} instead of {_short(one)})"
    return ""


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else f"{value!s:.40}"


def is_library(step: Any) -> bool:
    """Whether a step and all that is nested in it come from libraries whose estimators take each row by itself."""
    if not hasattr(step, "get_params"):
        return False
    nested = parts(step)
    modules = {type(part).__module__.partition(".")[0] for part in nested}
    return modules <= set(_LIBRARIES) and not any(type(part).__name__ == "FunctionTransformer" for part in nested)
