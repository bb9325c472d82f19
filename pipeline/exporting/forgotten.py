"""Forgotten: a scaler of the notebook that the chain lacks, though the model plainly answers better behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contract import metric_names
from contract.answers import Answers
from contract.formats.chain import Chain
from contract.signature import Output
from pipeline.exporting import asking
from pipeline.exporting.guidance import is_scaler_of
from pipeline.exporting.intake import Rows
from pipeline.measuring import metrics

_PLAINLY = 0.1
"""By how much the primary metric has to be better, of accuracy, F1 or R²."""


def scaler(
    chain: Chain,
    rows: Rows,
    truth: Sequence[Any],
    output: Output,
    measured: Mapping[str, float],
    notebook: Mapping[str, Any],
) -> str:
    """Say which scaler belongs before the model; empty where none makes its answers plainly better.

    Only scikit-learn's own scalers are tried, on the rows given; nothing else of the notebook is called.
    """
    primary = metric_names.PRIMARY[output.task]
    if primary not in measured or output.task not in ("classification", "multilabel", "regression"):
        return ""
    for name, value in notebook.items():
        if name.startswith("_") or any(value is step for step in chain.steps) or not is_scaler_of(value, rows):
            continue
        try:
            said = asking.ask(Chain([value, *chain.before], chain.model, chain.after, chain.settings), rows)
            answers: Answers = asking.as_answers(said, output)
            better = metrics.measure(answers, truth, output)[primary]
        except Exception:  # noqa: BLE001  # then it does not belong there
            continue
        if better > measured[primary] + _PLAINLY:
            return (
                f"{primary} is {measured[primary]:.3g}, and {better:.3g} with `{name}` before the model: callers send "
                f"rows as they are, so give it as well, export([{name}, …], …)."
            )
    return ""
