"""Scoring: what answers and true values say of each other, one function a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from contract.answers import Answers
from contract.signature import Output

SAMPLED_ROWS = 2_000
"""The silhouette compares each row with each, so it is taken of no more rows than this."""

_MOST_OUTPUTS = 12
"""Of more outputs than this only the averages are told."""
_SHARES_SUM_WITHIN = 1e-3


def shares(answers: Answers, output: Output) -> Any:
    """The probabilities, n by classes, one in sum; None where there are none, or what is called so is not."""
    if output.scores != "probabilities" or answers.scores is None:
        return None
    found = np.array(answers.scores, dtype=float)
    total = found.sum(axis=1, keepdims=True)
    sound = (found >= 0).all() and np.allclose(total, 1, atol=_SHARES_SUM_WITHIN)
    return found / total if sound else None


def ranks(answers: Answers, output: Output) -> Any:
    """A number for each row and class that grows with how much speaks for the class; None where there is none."""
    if output.scores != "decisions" or answers.scores is None:
        return shares(answers, output)
    found = np.array(answers.scores, dtype=float)
    if len(output.classes) != 2:
        return found if found.shape[1] == len(output.classes) else None
    second = found[:, -1] if found.shape[1] == 1 or output.rule == "threshold" else found[:, 1] - found[:, 0]
    return np.column_stack([-second, second])


def flags(rows: Iterable[Iterable[Any]], classes: Sequence[Any]) -> Any:
    """Which of the classes apply to each row, n by classes, as 0 and 1."""
    return np.array([[int(name in row) for name in classes] for row in map(set, rows)])


def outlying(truth: Sequence[Any] | None, output: Output) -> list[bool] | None:
    """Which true values say that their row is an outlier, said in the output's classes or as -1 and 1."""
    known = dict(zip(output.labels, output.classes, strict=True))
    for outlier, normal in ((known.get(-1), known.get(1)), (-1, 1)):
        if truth is not None and set(truth) <= {outlier, normal}:
            return [value == outlier for value in truth]
    return None


def _classification(answers: Answers, truth: Sequence[Any] | None, output: Output, _: Any) -> dict[str, Any]:
    if truth is None:
        return {}
    if output.width is not None:
        return _several_classes(answers, truth, output)
    numbers = _numbered([*output.classes, *truth, *answers.values])
    count = len(output.classes)
    true, said = numbers[count : count + len(truth)], numbers[count + len(truth) :]
    found: dict[str, Any] = {
        "accuracy": metrics.accuracy_score(true, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(true, said),
        "f1_macro": metrics.f1_score(true, said, average="macro", zero_division=0),
    }
    ranked, probable = ranks(answers, output), shares(answers, output)
    if numbers.max() >= count or count < 2:  # classes that the model does not know
        return found
    if probable is not None:
        found["log_loss"] = metrics.log_loss(true, probable, labels=list(range(count)))
    if ranked is not None and len(set(true)) == count:
        of = [1] if count == 2 else range(count)
        found["roc_auc"] = np.mean([metrics.roc_auc_score(true == i, ranked[:, i]) for i in of])
    if probable is not None and count == 2:
        if len(set(true)) == count:
            found["average_precision"] = metrics.average_precision_score(true, probable[:, 1])
        found["brier"] = np.mean((probable[:, 1] - true) ** 2)
    return found


def _several_classes(answers: Answers, truth: Sequence[Any], output: Output) -> dict[str, Any]:
    right = np.array([[a == b for a, b in zip(*rows, strict=True)] for rows in zip(answers.values, truth, strict=True)])
    return {
        "accuracy": right.mean(),
        "subset_accuracy": right.all(axis=1).mean(),
        **_each("accuracy", right.mean(axis=0), output),
    }


def _multilabel(answers: Answers, truth: Sequence[Any] | None, output: Output, _: Any) -> dict[str, Any]:
    if truth is None:
        return {}
    names = list(dict.fromkeys([*output.classes, *(name for row in truth for name in row)]))
    true, said = flags(truth, names), flags(answers.values, names)
    found: dict[str, Any] = {
        "f1_micro": metrics.f1_score(true, said, average="micro", zero_division=0),
        "f1_macro": metrics.f1_score(true, said, average="macro", zero_division=0),
        "subset_accuracy": (true == said).all(axis=1).mean(),
        "hamming_loss": (true != said).mean(),
    }
    both = [i for i in range(len(output.classes)) if 0 < true[:, i].sum() < len(true)]
    if answers.scores is not None and both:
        scores = np.array(answers.scores, dtype=float)
        found["roc_auc_macro"] = np.mean([metrics.roc_auc_score(true[:, i], scores[:, i]) for i in both])
    return found


def _regression(answers: Answers, truth: Sequence[Any] | None, output: Output, _: Any) -> dict[str, Any]:
    if truth is None:
        return {}
    true, said = np.array(truth, dtype=float), np.array(answers.values, dtype=float)
    found: dict[str, Any] = {
        "r2": metrics.r2_score(true, said),
        "mae": metrics.mean_absolute_error(true, said),
        "rmse": metrics.root_mean_squared_error(true, said),
    }
    sizes = abs(true)
    if (abs(np.sign(true).sum(axis=0)) == len(true)).all() and (sizes >= 0.01 * np.median(sizes, axis=0)).all():
        found["mape"] = metrics.mean_absolute_percentage_error(true, said)
    if output.width is None:
        return found
    return found | _each("r2", metrics.r2_score(true, said, multioutput="raw_values"), output)


def _each(metric: str, values: Any, output: Output) -> dict[str, Any]:
    """A metric of each output, by its name or its place."""
    names = output.names or range(len(values))
    return (
        {f"{metric}_{name}": value for name, value in zip(names, values, strict=True)}
        if len(values) <= _MOST_OUTPUTS
        else {}
    )


def _clustering(answers: Answers, truth: Sequence[Any] | None, _: Output, rows: Any) -> dict[str, Any]:
    said = _numbered(answers.values)
    found: dict[str, Any] = {}
    if rows is not None:
        some = np.arange(len(said))
        if len(said) > SAMPLED_ROWS:
            some = np.random.default_rng(0).choice(some, SAMPLED_ROWS, replace=False)
        try:
            matrix = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=float)
            found["silhouette"] = metrics.silhouette_score(matrix[some], said[some])
        except (ValueError, TypeError):  # no numbers, or not at least two groups
            pass
    if truth is not None:
        true = _numbered(truth)
        found["adjusted_rand_score"] = metrics.adjusted_rand_score(true, said)
        found["normalized_mutual_info"] = metrics.normalized_mutual_info_score(true, said)
    return found


def _numbered(values: Sequence[Any]) -> Any:
    """A number for each different value: texts and numbers side by side cannot be sorted."""
    place = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return np.array([place[value] for value in values])


def _outliers(answers: Answers, truth: Sequence[Any] | None, output: Output, _: Any) -> dict[str, Any]:
    true, said = outlying(truth, output), outlying(answers.values, output)
    if said is None:
        return {}
    if true is None:
        return {"outlier_share": np.mean(said)}
    found: dict[str, Any] = {"f1_outliers": metrics.f1_score(true, said, zero_division=0)}
    ranked = ranks(answers, output)
    if ranked is not None and 0 < sum(true) < len(true):
        found["roc_auc"] = metrics.roc_auc_score(true, ranked[:, output.labels.index(-1)])
    return found


BY_TASK: dict[str, Callable[[Answers, Sequence[Any] | None, Output, Any], dict[str, Any]]] = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
    "clustering": _clustering,
    "outliers": _outliers,
    "transform": lambda *_: {},
}
