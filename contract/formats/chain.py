"""A chain: steps around a model that answer as one object.

rows → functions and fitted transformers → the model → what decodes its answers. Columns are matched by name wherever a
step knows the names it was fitted on: their order does not matter, and nothing is ever filled in.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from contract.errors import PredictionFailed
from contract.formats import modules
from contract.signature import Output


class Chain:
    """Steps before a model, the model, and steps after it. Without a model the last step before it answers."""

    def __init__(
        self,
        before: Sequence[Any],
        model: Any = None,
        after: Sequence[Any] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.before = tuple(before)
        self.model = model
        self.after = tuple(after)
        self.settings = dict(settings or {})
        """Of scikit-learn, under which the steps answer."""

    @classmethod
    def around(cls, fitted: Any) -> Chain:
        """A fitted object as a chain: a chain as it is, what has no `predict` as a step that answers by itself."""
        if isinstance(fitted, cls):
            return fitted
        return cls([], fitted) if callable(getattr(fitted, "predict", None)) else cls([fitted])

    @property
    def parts(self) -> tuple[tuple[Any, ...], Any, tuple[Any, ...]]:
        """The steps before the model, the model, and those after it."""
        return self.before, self.model, self.after

    @property
    def steps(self) -> list[Any]:
        """All steps, in order."""
        return [*self.before, *([] if self.model is None else [self.model]), *self.after]

    def ask(self, inputs: Any, output: Output) -> tuple[Any, Any]:
        """The values and the scores of n rows, each None where the output has none."""
        with warnings.catch_warnings(action="ignore"), self._configured():
            rows = self.prepare(inputs)
            values = self.values(rows) if output.rule == "predict" else None
            return values, self.scores(rows, output) if output.scores else None

    def _configured(self) -> contextlib.AbstractContextManager[None]:
        if not self.settings:
            return contextlib.nullcontext()
        import sklearn

        found: contextlib.AbstractContextManager[None] = sklearn.config_context(**self.settings)
        return found

    def prepare(self, inputs: Any) -> Any:
        """The rows as the model takes them."""
        for step in self.before:
            inputs = apply(step, inputs)
        return inputs

    def values(self, rows: Any) -> Any:
        """What the model says of prepared rows, decoded."""
        return self.decoded(rows if self.model is None else _predict(self.model, matched(self.model, _lent(rows))))

    def decoded(self, values: Any) -> Any:
        """Answers of the model as the steps after it put them."""
        for step in self.after:
            values = decode(step, values)
        return values

    def scores(self, rows: Any, output: Output) -> Any:
        """Probabilities or decision values of prepared rows; what `predict` gives where that decides."""
        method = "predict_proba" if output.scores == "probabilities" else "decision_function"
        if callable(getattr(self.model, method, None)) and not self.after:
            return getattr(self.model, method)(matched(self.model, rows))
        return self.values(rows)


def apply(step: Any, rows: Any) -> Any:
    """The rows after one step: what a transformer or a function makes of them."""
    if not isinstance(step, type) and callable(getattr(step, "transform", None)):
        return step.transform(matched(step, rows))
    return modules.forward(step, rows) if modules.is_module(step) else step(rows)


def decode(step: Any, values: Any) -> Any:
    """Answers as callers want them: by a mapping, the inverse of a transformer, or a function."""
    if getattr(step, "__name__", "") == "inverse_transform":
        step = getattr(step, "__self__", step)
    if isinstance(step, Mapping):
        return [step[value] for value in (values.tolist() if hasattr(values, "tolist") else values)]
    if not callable(getattr(step, "inverse_transform", None)):
        return step(values)
    found = np.asarray(values)
    if found.ndim == 1 and hasattr(step, "n_features_in_"):  # a scaler of one column takes and gives a matrix
        return step.inverse_transform(found.reshape(-1, 1)).ravel()
    return step.inverse_transform(found)


def matched(step: Any, rows: Any) -> Any:
    """The rows with their columns in the order that `step` was fitted on.

    Raises:
        PredictionFailed: a column is missing, or the step does not know it.
    """
    names = names_of(step, getattr(rows, "columns", ()))
    if names is None:
        return rows
    if getattr(rows, "shape", ()) and not hasattr(rows, "columns"):
        # by position, as the step itself would take it; with the names it does not warn
        if not hasattr(rows, "toarray") and rows.shape[1:] == (len(names),):
            import pandas as pd

            return pd.DataFrame(rows, columns=names)
        return rows
    if not hasattr(rows, "columns") or list(rows.columns) == names:
        return rows
    kind = type(step).__name__
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise PredictionFailed(f"{kind} was fitted on the column '{missing[0]}', which the rows do not have.")
    unknown = [name for name in rows.columns if name not in names]
    if unknown:
        raise PredictionFailed(f"{kind} was not fitted on the column '{unknown[0]}', which the rows have.")
    return rows[names]


def names_of(step: Any, columns: Iterable[Any] = ()) -> list[str] | None:
    """The columns that a fitted step knows by name, spelled as `columns` are where the step changed their spelling."""
    library = type(step).__module__.partition(".")[0]
    try:
        names = step.feature_name() if _is_booster(step) else getattr(step, "feature_names_in_", None)
    except Exception:  # noqa: BLE001  # a property of somebody's class
        return None
    if names is None or not hasattr(names, "__len__") or not all(isinstance(name, str) for name in names):
        return None
    spelled = (
        {name.replace(" ", "_"): name for name in columns if isinstance(name, str)} if library == "lightgbm" else {}
    )
    made_up = library == "lightgbm" and all(name == f"Column_{i}" for i, name in enumerate(names))
    if made_up and not set(names) <= set(columns):  # it was given an array
        return None
    return [spelled.get(name, str(name)) for name in names]


def _is_booster(step: Any) -> bool:
    """Whether it is LightGBM's own model, which takes columns by position whatever they are called."""
    return type(step).__module__.partition(".")[0] == "lightgbm" and hasattr(step, "feature_name")


def _lent(rows: Any) -> Any:
    """The rows for a model that may change them: its scores are asked for afterwards."""
    if hasattr(rows, "iloc"):  # pandas copies what is written to
        return rows.copy(deep=False)
    return rows.copy() if isinstance(rows, np.ndarray) else rows


def parts(step: Any) -> list[Any]:
    """An estimator and all that are nested in it."""
    nested = [part for part in step.get_params(deep=True).values() if hasattr(part, "get_params")]
    return [step, *nested]


def _predict(model: Any, rows: Any) -> Any:
    quiet = {"verbose": 0} if type(model).__module__.partition(".")[0] == "keras" else {}
    return model.predict(rows, **quiet)
