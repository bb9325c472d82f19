"""The field's usual metrics, by task, and what one answer for all would reach."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contract.answers import Answers
from contract.metric_names import PRIMARY
from contract.signature import Output

_ABOVE_CHANCE = 0.1
"""Of the way from chance to perfection; up to it a classifier does not tell the classes apart."""
_OTHER_SCALE = -1.5
"""Good answers in another order than the true values have an r2 of about -1; one below this has another cause."""


def measure(answers: Answers, truth: Sequence[Any] | None, output: Output, rows: Any = None) -> dict[str, float]:
    """Metrics of n answers, of the output's task. What the rows do not define is left out.

    Args:
        answers: what the model says of the rows.
        truth: the n true values as callers know them, of a multilabel output the labels that apply to each row, of
            several outputs the values of each row; None where it is not known.
        output: what the model answers.
        rows: the numbers that the model took, n by fields, for what can be told of groups without the truth.

    Returns:
        By name, each a finite number:
        classification: `accuracy`, `balanced_accuracy`, `f1_macro`, `log_loss` (nats), `roc_auc` (of more than two
            classes each against the rest, their mean); of two classes, with regard to the second one,
            `average_precision` and `brier` (mean squared difference of the probability from 0 or 1). Of several
            outputs the mean of their accuracies, each of them, and the share of rows that are wholly right.
        multilabel: `subset_accuracy` (share of rows that are wholly right), `f1_micro`, `f1_macro`, `hamming_loss`
            (share of labels that are wrong), `roc_auc_macro` over the labels that the rows both have and lack.
        regression: `r2`, `mae` and `rmse` in the target's unit, `mape` as a share, where all true values have one sign
            and none is next to zero. Of several outputs the mean over them, and each one's share explained.
        clustering: `adjusted_rand_score`, `normalized_mutual_info`; `silhouette` (Rousseeuw 1987, -1 to 1, Euclidean).
        outliers: `f1_outliers`, `roc_auc`; without the truth the share of rows called outliers.
    """
    from pipeline.measuring.scoring import BY_TASK

    if not answers.values:
        return {}
    with warnings.catch_warnings(action="ignore"):
        found = BY_TASK[output.task](answers, truth, output, rows)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def constant(truth: Sequence[Any] | None, output: Output) -> float | None:
    """The primary metric of the best answer that is the same for every row; None where that is not defined.

    Classification: always the most frequent class. Regression: always the mean. Multilabel: always the k most frequent
    labels, with the best k. Outliers: every row is one.
    """
    from pipeline.measuring.scoring import outlying

    if truth is None or not len(truth):
        return None
    match output.task:
        case "classification":
            columns = [truth] if output.width is None else list(zip(*truth, strict=True))
            return float(np.mean([Counter(column).most_common(1)[0][1] / len(truth) for column in columns]))
        case "regression":
            return 0.0 if (np.ptp(np.array(truth, dtype=float), axis=0) > 0).all() else None
        case "multilabel":
            often = sorted(Counter(name for row in truth for name in row).values(), reverse=True)
            right = np.cumsum(often)
            said = len(truth) * np.arange(1, len(often) + 1)
            return float(max(2 * right / (said + right[-1]))) if often else None
        case "outliers":
            apart = outlying(truth, output)
            return 2 * sum(apart) / (sum(apart) + len(apart)) if apart else None
        case _:
            return None


def worse_than_constant(measured: Mapping[str, float], truth: Sequence[Any] | None, output: Output) -> str:
    """A sentence where the model does worse than one answer for every row would, with what that often comes from.

    A classifier that was fitted to find rare classes may be right less often than the most frequent class is there;
    nothing is said of it as long as it tells the classes apart.
    """
    name, least = PRIMARY[output.task], constant(truth, output)
    if truth is None or least is None or name not in measured or measured[name] > least - 1e-9:
        return ""
    start, same_order = f"{name} is {measured[name]:.3g}: worse than", "are targets in the same order as inputs"
    match output.task:
        case "regression" if measured[name] < _OTHER_SCALE:
            return f"{start} always answering the mean; are targets on another scale than the answers?"
        case "regression":
            return f"{start} always answering the mean; {same_order}?"
        case "classification" if output.width is None:
            often = Counter(truth)
            chance = 1 / len(often)
            if chance == 1 or measured.get("balanced_accuracy", 0) > chance + _ABOVE_CHANCE * (1 - chance):
                return ""
            most = often.most_common(1)[0][0]
            return f"{start} always answering {most!r} ({least:.3g}); {same_order}, and do they name the same classes?"
        case "outliers":
            return f"{start} calling every row an outlier ({least:.3g}); do targets say -1 of an outlier, else 1?"
        case _:
            return f"{start} always answering the same ({least:.3g}); {same_order}?"
