"""Scoring: the usual metrics of answers whose truth is known, each as scikit-learn defines it, with numpy alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from contract.signature import Output


class Pair(NamedTuple):
    """What a version said of a row, and what was true of it, both in the form of its answers."""

    said: Any
    true: Any
    chance: float | None = None
    """The probability that it gave to the class that was true."""


def measure(pairs: Sequence[Pair], output: Output) -> dict[str, float]:
    """Metrics of n pairs by name, each a finite number; what the pairs do not define is left out."""
    if not pairs:
        return {}
    found = _BY_TASK[output.task](pairs, output)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _classification(pairs: Sequence[Pair], output: Output) -> dict[str, Any]:
    if output.width is not None:
        right = np.array([[said == true for said, true in zip(*pair[:2], strict=True)] for pair in pairs])
        return {"accuracy": right.mean(), "subset_accuracy": right.all(axis=1).mean()}
    right = np.array([pair.said == pair.true for pair in pairs])
    place = {name: i for i, name in enumerate(dict.fromkeys(pair.true for pair in pairs))}
    of = np.array([place[pair.true] for pair in pairs])
    found = {"accuracy": right.mean(), "balanced_accuracy": (np.bincount(of, right) / np.bincount(of)).mean()}
    chances = np.array([pair.chance for pair in pairs], dtype=float)
    if not np.isnan(chances).any():
        found["log_loss"] = -np.log(np.clip(chances, np.finfo(float).eps, 1)).mean()
    return found


def _multilabel(pairs: Sequence[Pair], output: Output) -> dict[str, Any]:
    said, true = (
        np.array([[name in row for name in output.classes] for row in rows])
        for rows in ([pair.said for pair in pairs], [pair.true for pair in pairs])
    )
    return {
        "f1_micro": _f1(said, true),
        "subset_accuracy": (said == true).all(axis=1).mean(),
        "hamming_loss": (said != true).mean(),
    }


def _regression(pairs: Sequence[Pair], _: Output) -> dict[str, Any]:
    said, true = (np.array([pair[i] for pair in pairs], dtype=float).reshape(len(pairs), -1) for i in (0, 1))
    squares = ((true - said) ** 2).mean(axis=0)
    found = {"mae": abs(true - said).mean(), "rmse": np.sqrt(squares).mean()}
    spread = true.var(axis=0)
    if (spread > 0).all():
        found["r2"] = (1 - squares / spread).mean()
    return found


def _outliers(pairs: Sequence[Pair], output: Output) -> dict[str, Any]:
    outlier = output.classes[output.labels.index(-1)] if -1 in output.labels else -1
    said, true = (np.array([pair[i] == outlier for pair in pairs]) for i in (0, 1))
    return {"f1_outliers": _f1(said, true)}


def _f1(said: Any, true: Any) -> float:
    """Of what applies, or was said to (van Rijsbergen 1979); 0 where nothing was, as scikit-learn has it."""
    named = said.sum() + true.sum()
    return float(2 * (said & true).sum() / named) if named else 0.0


_BY_TASK: dict[str, Callable[[Sequence[Pair], Output], dict[str, Any]]] = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
    "outliers": _outliers,
    "clustering": lambda *_: {},  # groups have no names of their own that a truth could use
    "transform": lambda *_: {},
}
