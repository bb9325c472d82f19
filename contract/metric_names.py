"""Names of metrics: which one stands for a task, and whether more of it is better."""

from __future__ import annotations

import re

ROUNDING = 1e-12
"""The same answers, added up in another order, are no worse."""

PRIMARY: dict[str, str] = {
    "classification": "accuracy",
    "multilabel": "f1_micro",
    "regression": "r2",
    "clustering": "silhouette",
    "outliers": "f1_outliers",
    "transform": "explained_variance",
}
"""The metric that stands for a model where there is room for one."""

_LOWER = (
    "log_loss brier mae rmse mape hamming_loss loss error errors err mse msle rmsle smape wape medae mase deviance "
    "perplexity hamming wer cer fpr fnr ece cost costs regret distance aic bic pinball davies latency duration seconds"
)
_HIGHER = (
    "accuracy balanced_accuracy f1_macro f1_micro f1_outliers roc_auc roc_auc_macro average_precision subset_accuracy "
    "r2 adjusted_rand_score normalized_mutual_info silhouette explained_variance acc auc ap map f1 precision recall "
    "sensitivity specificity kappa mcc matthews jaccard iou dice ndcg mrr bleu rouge gini likelihood profit gain score"
)
_DIRECTIONS = dict.fromkeys(_LOWER.split(), False) | dict.fromkeys(_HIGHER.split(), True)


def direction(name: str) -> bool | None:
    """Whether more of a metric is better; None where its name does not tell."""
    name = name.lower()
    if name in _DIRECTIONS:
        return _DIRECTIONS[name]
    if re.match(r"neg_|(r2|accuracy)_", name):  # as scikit-learn negates errors; of one output
        return True
    words = [_DIRECTIONS[word] for word in re.split(r"[^a-z0-9]+", name) if word in _DIRECTIONS]
    return all(words) if words else None


def better(name: str, was: float | None, now: float | None) -> bool | None:
    """Whether a metric has become better; None where it is the same, unknown, or its name does not tell."""
    up = direction(name)
    if up is None or was is None or now is None or abs(now - was) <= ROUNDING:
        return None
    return (now > was) == up


def higher_is_better(name: str) -> bool:
    """Whether more of a metric is better; so it is taken to be where its name does not tell."""
    return direction(name) is not False
