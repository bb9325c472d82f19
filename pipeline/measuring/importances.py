"""Importances: what a fitted model itself tells of how much each of its inputs counts."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from contract.formats.chain import Chain, names_of


def importances(fitted: Any, names: Sequence[str]) -> dict[str, float] | None:
    """How much each input counts, from `feature_importances_` or the size of `coef_`, its mean over the classes.

    Of a search, a pipeline or a chain it is the model at its end, with the inputs as the steps before it name them.
    Coefficients are as large as the units of their inputs make them. None where the model does not tell one number for
    each input, or the inputs have no names of their own.

    Args:
        fitted: any fitted object.
        names: the fields, in the order in which it takes them.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            model, known = _last(fitted, list(names))
            found = getattr(model, "feature_importances_", None)
            weights = abs(_dense(getattr(model, "coef_", None) if found is None else found))
            if weights.ndim == 2:
                weights = weights.mean(axis=0)
            if known is None or weights.shape != (len(known),) or not np.isfinite(weights).all():
                return None
            return dict(zip(known, weights.tolist(), strict=True))
    except Exception:  # noqa: BLE001  # a model is anybody's code, and this is only told beside it
        return None


def explained_variance(fitted: Any) -> float | None:
    """The share of the variance that a fitted decomposition keeps, where it tells; between 0 and 1."""
    try:
        return min(1.0, float(np.sum(_last(fitted, [])[0].explained_variance_ratio_)))
    except Exception:  # noqa: BLE001  # the same
        return None


def _last(fitted: Any, names: list[str] | None) -> tuple[Any, list[str] | None]:
    """The step that answers, and what its inputs are called; None where nobody tells."""
    for inner in ("best_estimator_", "regressor_"):  # of a search, of a target that is transformed
        if hasattr(fitted, inner):
            return _last(getattr(fitted, inner), names)
    steps: list[Any] = []
    if isinstance(fitted, Chain):
        steps = [*fitted.before, *([] if fitted.model is None else [fitted.model])]
    elif isinstance(getattr(fitted, "steps", None), list):
        steps = [step for _, step in fitted.steps]
    if not steps:
        return fitted, names
    for step in steps[:-1]:
        names = _named(step, names)
    return _last(steps[-1], names_of(steps[-1]) or names)


def _named(step: Any, names: list[str] | None) -> list[str] | None:
    """What the columns are called that a step makes of columns with these names."""
    if step is None or step == "passthrough":
        return names
    given: Iterable[Any] = (names, None) if names_of(step) is None else (None,)
    for known in given:
        try:
            return [str(name) for name in step.get_feature_names_out(known)]
        except Exception:  # noqa: BLE001  # it names nothing, or not these
            continue
    return None


def _dense(found: Any) -> Any:
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=float)
