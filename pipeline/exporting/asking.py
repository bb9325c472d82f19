"""Asking the fitted object: what it says of rows as they were given, and as a request brings them."""

from __future__ import annotations

import textwrap
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from contract.answers import Answers, Columns, apart, as_list, from_model
from contract.errors import ExportRefused, PredictionError, PredictionFailed
from contract.formats import FORMATS
from contract.formats.chain import Chain, apply, decode, matched, names_of
from contract.formats.joblib import FittedObject
from contract.showing import listed
from contract.signature import Output
from pipeline.exporting.chains import name_of
from pipeline.exporting.intake import Rows, a
from pipeline.exporting.outputs import Said

_MOST_SHOWN = 8


class ColumnMissing(ExportRefused):
    """A step misses a column that it was fitted on, or gets one that it does not know."""


def ordered(chain: Chain, rows: Rows, what: str) -> Rows:
    """The rows with their columns as the first step was fitted on them, where it knows their names.

    An array is taken by position, as the step itself takes it; its columns get the names of the fit.

    Raises:
        ExportRefused: a column is missing or unknown.
    """
    first = chain.before[0] if chain.before else chain.model
    names = names_of(first, rows.frame.columns)
    if names is None or rows.container not in ("frame", "array"):
        return rows
    if rows.container == "array":
        return rows.named(names) if rows.positional and rows.frame.shape[1] == len(names) else rows
    missing = [name for name in names if name not in rows.frame.columns]
    unknown = [name for name in rows.frame.columns if name not in names]
    if missing:
        raise ExportRefused(
            f"{what} has no column '{missing[0]}', which the {type(first).__name__} was fitted on; it has "
            f"{listed(rows.frame.columns)}. Give it the rows that it was fitted on, or put the steps that make "
            "its columns before it: export([prepare, model], …)."
        )
    if unknown:
        left = ", ".join(map(repr, unknown[:_MOST_SHOWN]))
        raise ExportRefused(
            f"{what} has the column '{unknown[0]}', which the {type(first).__name__} was not fitted on; leave it out: "
            f"{what}.drop(columns=[{left}{', …' if len(unknown) > _MOST_SHOWN else ''}])."
        )
    return rows.ordered(names)


def ask(chain: Chain, rows: Rows) -> Said:
    """What the chain says of the rows as they were given, step by step so that a failure can be told.

    Raises:
        ExportRefused: a step is not fitted, fails on these rows, or does not give one answer a row.
    """
    with warnings.catch_warnings(action="ignore"):
        found = rows.copy()
        for i, step in enumerate(chain.before):
            found = _told(lambda step=step, found=found: apply(step, found), step, i + 1, found)
        scores, kind = None, ""
        if chain.model is not None:
            prepared, place = found, len(chain.before) + 1
            found = _told(lambda: Chain([], chain.model).values(prepared), chain.model, place, prepared)
            if not chain.after:
                scores, kind = _scores(chain, prepared)
        for i, step in enumerate(chain.after, len(chain.before) + 2):
            found = _told(lambda step=step, found=found: decode(step, found), step, i, found)
    values = _array(found)
    if not values.ndim or len(values) != len(rows):
        gave = f"{len(values)} answers" if values.ndim and len(values) != 1 else "a single answer"
        raise ExportRefused(
            f"The model gave {gave} for {len(rows)} rows; an API needs one for each. Does a step leave rows out "
            "(dropna, a filter)? Do that to the rows before the chain."
        )
    return Said(values, scores, kind)  # type: ignore[arg-type]  # one of the words


def compare(fitted: FittedObject, columns: Columns, expected: Answers) -> None:
    """Have the fitted object answer rows as a request brings them.

    Raises:
        ExportRefused: it cannot, or answers otherwise than `expected`.
    """
    try:
        found = fitted.answer(columns)
    except PredictionError as error:
        raise ExportRefused(f"The model cannot answer inputs as a request brings them. {reason(error)}") from error
    wrong = apart(found, expected, relative=fitted.signature.output.numeric, tolerance=FORMATS["joblib"].tolerance)
    if wrong:
        raise ExportRefused(
            "The model answers the same rows otherwise when they come as a request: a column holds values that JSON "
            f"cannot carry exactly, or its answers are random. Row {wrong[0]}: {expected.values[wrong[0]]!r:.60} in "
            f"the notebook, {found.values[wrong[0]]!r:.60} as a request."
        )


def as_answers(said: Said, output: Output) -> Answers:
    """What a chain said, as answers.

    Raises:
        PredictionFailed: it is not what the output describes.
    """
    by_scores = said.scores if said.scores is not None else said.values
    values = said.values if output.rule == "predict" else None
    return from_model(values, by_scores if output.scores else None, output, len(said.values))


def takes_null(fitted: FittedObject, row: dict[str, Any], name: str) -> bool:
    """Whether the fitted object answers a row in which one field is missing."""
    try:
        fitted.answer({field: [None if field == name else value] for field, value in row.items()})
    except PredictionFailed:
        return False
    return True


def reason(error: PredictionError) -> str:
    """What a prediction failed of, with what the model itself said."""
    if error.__cause__ is None:
        return str(error)
    return (
        f"{error} ({type(error.__cause__).__name__}: {textwrap.shorten(str(error.__cause__), 240, placeholder=' …')})"
    )


def _scores(chain: Chain, prepared: Any) -> tuple[Any, str]:
    for method, kind in (("predict_proba", "probabilities"), ("decision_function", "decisions")):
        function = getattr(chain.model, method, None)
        if callable(function):
            try:
                found = function(matched(chain.model, prepared))
            except (AttributeError, NotImplementedError):  # it only looks as if it had them
                continue
            return found, kind
    return None, ""


def _told(action: Any, step: Any, position: int, rows: Any) -> Any:
    try:
        return action()
    except NotFittedError:
        raise ExportRefused(f"This {type(step).__name__} is not fitted yet; call its `fit` before export.") from None
    except PredictionFailed as error:
        raise ColumnMissing(f"{error} Are the steps in the order in which the notebook takes them?") from None
    except Exception as error:
        shape, said = getattr(rows, "shape", None), textwrap.shorten(str(error), 240, placeholder=" …")
        raise ExportRefused(
            f"{name_of(step, position)} raised {type(error).__name__} on {a(rows)}"
            f"{f' of shape {tuple(shape)}' if shape else ''}: {said.rstrip('.')}. "
            "Are these the rows that it was fitted on, with every step that comes before it?"
        ) from error


def _array(found: Any) -> Any:
    """What a model returned, as an array."""
    listed = as_list(found)
    try:
        array = np.asarray(listed)
    except ValueError:
        array = np.empty(len(listed), dtype=object)
        array[:] = listed
        return array
    if array.dtype.kind in "US":
        as_given = np.array(listed, dtype=object)  # numpy would write numbers beside texts as texts
        if not all(isinstance(value, str) for value in as_given.ravel()):
            return as_given
    return array if array.ndim or np.ndim(found) else np.asarray(found)
