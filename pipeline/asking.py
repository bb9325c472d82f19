"""Asking the fitted object: what it says of rows as they were given, and as a request brings them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from contract.answers import Answers, Columns, count, difference, from_model
from contract.errors import ExportRefused, PredictionError
from contract.formats import FORMATS
from contract.formats.joblib import FittedObject

Said = tuple[Any, Any]
"""Labels or numbers of n rows; their probabilities, n by classes, or None."""


def ask(model: Any, inputs: Any) -> Said:
    """What the model says of a DataFrame or an array of n rows.

    Raises:
        ExportRefused: it is no fitted model, or none for these rows.
    """
    if isinstance(model, type) or not callable(getattr(model, "predict", None)):
        raise ExportRefused(
            f"The first argument is {model!r:.80}, which has no `predict`; give the fitted model: export(model, …)."
        )
    named = getattr(model, "feature_names_in_", None)
    if named is not None and isinstance(inputs, np.ndarray):
        raise ExportRefused(
            f"inputs is an array, but the model was fitted on the columns {', '.join(named)}; give a DataFrame."
        )
    try:
        values = model.predict(inputs)
        probabilities = model.predict_proba(inputs) if hasattr(model, "predict_proba") else None
    except NotFittedError:
        raise ExportRefused(f"This {type(model).__name__} is not fitted yet; call its `fit` before export.") from None
    except Exception as error:
        raise ExportRefused(
            f"The model raised {type(error).__name__} on inputs: {str(error)[:300]} "
            "Are they rows like those it was fitted on, with the same columns in the same order?"
        ) from error
    if np.ndim(values) != 1 and np.shape(values)[1:] != (1,):
        raise ExportRefused(
            f"The model answers {len(inputs)} rows with an array of shape {np.shape(values)}; one value per row is "
            "supported: fit it on one-dimensional targets."
        )
    return values, probabilities


def answers(fitted: FittedObject, columns: Columns, said: Said | None = None) -> Answers:
    """What the fitted object says of rows as a request brings them; the same as it `said` of them where that is known.

    Raises:
        ExportRefused: it cannot answer them, or says something else.
    """
    output = fitted.signature.output
    try:
        found = fitted.answer(columns)
        direct = found if said is None else from_model(*said, output, count(columns))
    except PredictionError as error:
        rows = "inputs as a request brings them" if said else "rows drawn from the observed ranges (keep_rows=False)"
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise ExportRefused(f"The model cannot answer {rows}. {error}{cause}") from error
    if difference(found, direct, relative=output.task == "regression") > FORMATS["joblib"].tolerance:
        raise ExportRefused(
            "The model answers the same rows otherwise when they come as a request: a column holds values that JSON "
            "cannot carry exactly, or its answers are random."
        )
    return found
