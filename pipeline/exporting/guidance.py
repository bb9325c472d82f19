"""Guidance: what to write instead, from what the notebook has. Its names are looked at, never called or trusted."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from contract.formats.chain import Chain
from contract.showing import listed
from pipeline.exporting.intake import Rows, a

if TYPE_CHECKING:
    from pipeline.exporting.examining import Examined

_MOST = 5
_MANY_ROWS = 100
_FEW_ROWS = 10


def names_of_notebook() -> Mapping[str, Any]:
    """The global names there where whoever calls this was called."""
    return dict(sys._getframe(2).f_globals)  # the only way to know the notebook's names


def wrong_object(found: Any, notebook: Mapping[str, Any]) -> str:
    """Say what was given instead of something that answers rows, and what is there."""
    name = next(
        (f"`{name}`" for name, value in notebook.items() if value is found and not name.startswith("_")), "This"
    )
    there = fitted_there(notebook)
    shown = repr(found) if isinstance(found, str | int | float | bool | None) else ""
    what = f"{a(found)}{f' ({shown:.40})' if shown else ''}"
    hint = f"{there}; give one of them" if there else "give the fitted model, a function or a chain of them"
    if hasattr(type(found), "fit_predict") or hasattr(type(found), "fit_transform"):
        return (
            f"{type(found).__name__} has no `predict`: it describes the rows it was fitted on and cannot say anything "
            "of a new one. Fit a model that can (KMeans, or a classifier on its labels) and export that."
        )
    return f"{name} is {what}, which answers no rows; {hint}: export(model, …)."


def fitted_there(notebook: Mapping[str, Any]) -> str:
    """The fitted models among the notebook's names, as a clause; empty where there is none."""
    found = [name for name, value in notebook.items() if not name.startswith("_") and _is_fitted(value, "predict")]
    if not found:
        return ""
    return f"fitted here: {', '.join(found[:_MOST])}{', …' if len(found) > _MOST else ''}"


def made_by(rows: Rows, fitted: Any, notebook: Mapping[str, Any]) -> str:
    """A remark where rows look as if a scaler or a vectorizer of the notebook had made them; empty where not."""
    steps = fitted if isinstance(fitted, list | tuple) else [fitted]
    model = next((name for name, value in notebook.items() if value is fitted and not name.startswith("_")), "model")
    for name, value in notebook.items():
        if name.startswith("_") or any(value is step for step in steps) or not _is_fitted(value, "transform"):
            continue
        own = object.__getattribute__(value, "__dict__")
        if rows.container == "sparse" and _width(rows) == len(own.get("vocabulary_", ())):
            return (
                f"The rows look as if `{name}` had made them of texts. For an API that takes the texts: "
                f"export([{name}, {model}], …, the texts, …)."
            )
        if "scale_" in own and _look_scaled(rows.frame, own):
            return (
                f"The rows look as if `{name}` had scaled them, so callers have to send scaled numbers. For an API "
                f"that takes them as they are: export([{name}, {model}], …, rows before scaling, …)."
            )
    return ""


def _width(rows: Rows) -> int:
    """How many columns the rows of a matrix have, also where they are one field."""
    return int(rows.given.shape[1])


def _look_scaled(frame: pd.DataFrame, scaler: Mapping[str, Any]) -> bool:
    """Whether the columns that a scaler knows have about the mean and the spread, or the range, that it makes."""
    names = [str(name) for name in scaler.get("feature_names_in_", frame.columns)]
    if not set(names) <= set(frame.columns):  # what a scaler makes is an array, without names
        names = list(frame.columns)
    if len(names) != scaler.get("n_features_in_") or len(frame) < _FEW_ROWS:
        return False
    if not all(frame[name].dtype.kind == "f" for name in names):
        return False
    values = frame[names].to_numpy(dtype=float)
    mean, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    standard = np.median(np.abs(mean)) < 0.3 and 0.5 < np.median(spread) < 1.5
    in_range = np.nanmin(values) > -0.5 and np.nanmax(values) < 1.5 and np.median(spread) < 0.5
    return bool(standard or in_range)


def is_scaler_of(value: Any, rows: Rows) -> bool:
    """Whether a value is a fitted scaler of scikit-learn's for as many columns as the rows have."""
    if not _is_fitted(value, "inverse_transform") or not type(value).__module__.startswith("sklearn.preprocessing."):
        return False
    own = object.__getattribute__(value, "__dict__")
    return "scale_" in own and own.get("n_features_in_") == rows.frame.shape[1]


def remarks(rows: Rows, model: Any, notebook: Mapping[str, Any], categories: Sequence[str], targets: Any) -> list[str]:
    """What the author may want to change, though nothing is wrong."""
    found = []
    if same := targets_among(rows, targets):
        found.append(f"inputs holds the targets as '{same}': callers would have to send what they want to know.")
    if rows.positional and rows.container in ("array", "sparse"):
        names = list(rows.frame.columns)
        several = f"The fields are called {names[0]} … {names[-1]}" if len(names) > 1 else f"The field is '{names[0]}'"
        found.append(f"{several}, by position; columns=[…] gives them names that callers understand.")
    if hint := made_by(rows, model, notebook):
        found.append(hint)
    if categories:
        found.append(
            f"The chain has to know every level of {listed(categories)}: a request with another one is refused; "
            "all_rows= brings the levels of all rows."
        )
    return found


def targets_among(rows: Rows, targets: Any) -> str:
    """The column of the rows that is the targets themselves; empty where there is none."""
    if np.ndim(targets) != 1 or len(targets) != len(rows):
        return ""
    values = pd.Series(np.asarray(targets)).astype(object)
    for name in rows.frame.columns:
        column = rows.frame[name].astype(object)
        if values.nunique() > 1 and column.equals(values):
            return str(name)
    return ""


def levels_elsewhere(rows: Rows, found: Examined, notebook: Mapping[str, Any]) -> str:
    """Say where a frame of the notebook has levels of a column that these rows lack and the chain has to know.

    Empty where there is none: nothing then tells that levels are missing.
    """
    for name in _counting(rows, found):
        known = set(rows.frame[name].dropna().unique())
        for there, frame in notebook.items():
            if type(frame) is not pd.DataFrame or there.startswith("_") or name not in frame.columns:
                continue
            if not frame.columns.is_unique or str(frame[name].dtype) != str(rows.given[name].dtype):
                continue
            column = frame[name]
            missing = [level for level in column.dropna().unique() if level not in known]
            if missing:
                return (
                    f"`{there}` has {missing[0]!r} in '{name}', which these rows do not have, and the chain has to "
                    f"know every level of it. Give every row as all_rows=, e.g. all_rows={there}[inputs.columns]."
                )
    return ""


def _counting(rows: Rows, found: Examined) -> list[str]:
    """The columns whose levels matter: those that became closed lists, and texts of which the rows hold but one."""
    if rows.container != "frame" or not rows.frame.columns.equals(rows.given.columns) or not found.chain.before:
        return []
    texts = {field.name for field in found.signature.inputs if field.type == "string"}
    single = [name for name in rows.frame.columns if name in texts and rows.frame[name].nunique() == 1]
    return [*found.categories, *single]


def data_carried(chain: Chain) -> list[str]:
    """The notebook's frames and arrays that functions of a chain use: they are saved with them."""
    found: dict[str, None] = {}
    for step in (*chain.before, *chain.after):
        if isinstance(step, FunctionType):
            for name in step.__code__.co_names:
                value: Any = step.__globals__.get(name)
                if issubclass(type(value), pd.DataFrame | np.ndarray) and len(value) >= _MANY_ROWS:
                    found[f"`{name}` ({len(value):,} rows)"] = None
    return list(found)


def _is_fitted(value: Any, method: str) -> bool:
    """Whether a value is of a class with that method and carries what a fit leaves; nothing of it is called."""
    kind = type(value)  # isinstance would ask the value what it says it is
    if issubclass(kind, type | pd.DataFrame | pd.Series | np.ndarray) or not _has(kind, method):
        return False
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return False
    if _is_library(kind) and "steps" in own:  # a Pipeline keeps nothing of its fit itself
        return bool(own["steps"]) and _is_fitted_part(own["steps"][-1][-1])
    return _is_fitted_part(value)


def _is_fitted_part(value: Any) -> bool:
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return False
    return any(name.endswith("_") and not name.startswith("_") for name in own) or not _has(type(value), "fit")


def _has(kind: type, method: str) -> bool:
    """Whether a class defines or inherits a method; none of its code runs."""
    return any(method in type.__getattribute__(base, "__dict__") for base in type.__getattribute__(kind, "__mro__"))


def _is_library(kind: type) -> bool:
    return str(type.__getattribute__(kind, "__dict__").get("__module__", "")).startswith("sklearn.")
