"""The field's usual metrics, by task."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from contract.answers import Answers
from contract.signature import Output

PRIMARY = {"classification": "accuracy", "regression": "r2"}
"""The metric that stands for a model where there is room for one."""


def measure(answers: Answers, truth: Sequence[Any], output: Output) -> dict[str, float]:
    """Metrics of n answers against the n true values (class names for classification).

    Classification: accuracy, balanced accuracy, macro F1, and where there are probabilities log loss (nats) and the
    area under the ROC curve (one against the rest, macro mean). Regression: R², mean absolute and root mean squared
    error in the target's unit. A metric that the rows do not define is left out, and so are the two of probabilities
    where these are none: outside 0 to 1, or not 1 in sum.
    """
    found = _regression(answers, truth) if output.task == "regression" else _classification(answers, truth, output)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _regression(answers: Answers, truth: Sequence[Any]) -> dict[str, float]:
    with warnings.catch_warnings(action="ignore"):
        return {
            "r2": metrics.r2_score(truth, answers.values),
            "mae": metrics.mean_absolute_error(truth, answers.values),
            "rmse": metrics.root_mean_squared_error(truth, answers.values),
        }


def _classification(answers: Answers, truth: Sequence[Any], output: Output) -> dict[str, float]:
    place = {name: index for index, name in enumerate(output.classes)}
    known = list(range(len(output.classes)))
    true, said = [place[value] for value in truth], [place[value] for value in answers.values]
    with warnings.catch_warnings(action="ignore"):
        found = {
            "accuracy": metrics.accuracy_score(true, said),
            "balanced_accuracy": metrics.balanced_accuracy_score(true, said),
            "f1_macro": metrics.f1_score(true, said, average="macro", zero_division=0),
        }
        shares = np.array(answers.probabilities or np.nan)
        if len(known) > 1 and (shares >= 0).all() and np.allclose(shares.sum(axis=-1), 1):
            found["log_loss"] = metrics.log_loss(true, shares, labels=known)
            scores = shares[:, 1] if len(known) == 2 else shares
            found["roc_auc"] = metrics.roc_auc_score(true, scores, multi_class="ovr", labels=known)
    return found
