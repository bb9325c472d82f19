"""Plots: what a data scientist would look at to judge answers against the truth, as SVG by title."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.answers import Answers
from contract.signature import Output
from pipeline.measuring import class_plots, figures, scoring
from pipeline.measuring.class_plots import Truth
from pipeline.measuring.figures import COLOURS, INK, label
from pipeline.measuring.importances import importances

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "importances"]

MOST_PANELS = 6


def draw(
    answers: Answers, truth: Truth | None, output: Output, *, importances: Mapping[str, float] | None = None
) -> dict[str, bytes]:
    """The plots of the output's task, as far as the rows define them.

    Args:
        answers: what the model says of n rows.
        truth: the n true values as callers know them; None where it is not known.
        output: what the model answers.
        importances: how much each input counts; the twenty that count most are shown.

    Returns:
        By title an SVG document of less than 60 KB, the same bytes each time. What cannot be drawn is left out, and
        so is everything without matplotlib: no version is lost for a picture.
    """
    found: dict[str, bytes] = {}
    for title, drawer in _drawers(answers, truth, output, importances or {}):
        try:
            with figures.style():
                figure = drawer(title)
                if figure is not None:
                    found[title] = figures.svg(figure)
        except Exception:  # noqa: BLE001  # any data, and a library with settings of its own
            continue
    return found


def _drawers(
    answers: Answers, truth: Truth | None, output: Output, importances: Mapping[str, float]
) -> Iterator[tuple[str, Callable[[str], Figure | None]]]:
    for title, alone in _ALONE.get(output.task, {}).items():
        yield title, lambda title, alone=alone: alone(title, answers, truth, output)  # type: ignore[misc]
    if truth is not None:
        for title, against in _AGAINST_TRUTH.get(output.task, {}).items():
            yield title, lambda title, against=against: against(title, answers, truth, output)  # type: ignore[misc]
    most = sorted(importances.items(), key=lambda item: -item[1])[: figures.MOST_BARS]
    if any(weight for _, weight in most):
        yield "Feature importance", lambda title: figures.bars(title, dict(most), "weight", "{:.3g}")


def _columns(answers: Answers, truth: Truth) -> tuple[Any, Any]:
    """The predicted and the true values of a sample of the rows, n by outputs."""
    said, true = (np.array(values, dtype=float).reshape(len(truth), -1) for values in (answers.values, truth))
    some = figures.sampled(len(truth), figures.MOST_POINTS if said.shape[1] == 1 else figures.MOST_POINTS_SMALL)
    return said[some], true[some]


def _predicted(title: str, answers: Answers, truth: Truth, output: Output) -> Figure:
    said, true = _columns(answers, truth)

    def one(axes: Axes, i: int) -> None:
        ends = [min(said[:, i].min(), true[:, i].min()), max(said[:, i].max(), true[:, i].max())]
        axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle=":")
        figures.scatter(axes, true[:, i], said[:, i], _dot(output))

    return _panels(title, "true", "predicted", one, output)


def _residuals(title: str, answers: Answers, truth: Truth, output: Output) -> Figure:
    said, true = _columns(answers, truth)

    def one(axes: Axes, i: int) -> None:
        axes.axhline(0, color=INK, linewidth=0.8, linestyle=":")
        figures.scatter(axes, said[:, i], true[:, i] - said[:, i], _dot(output))

    return _panels(title, "predicted", "true − predicted", one, output)


def _panels(title: str, across: str, up: str, draw: Callable[[Axes, int], None], output: Output) -> Figure:
    if output.width is None:
        figure, axes = figures.single(title, across, up)
        draw(axes, 0)
        return figure
    names = [label(name) for name in output.names or [f"output {i}" for i in range(output.width)]]
    return figures.by_panel(title, across, up, names[:MOST_PANELS], draw)


def _dot(output: Output) -> float:
    return 12 if output.width is None else 6


def _labels(title: str, answers: Answers, truth: Truth, output: Output) -> Figure:
    from sklearn.metrics import f1_score

    often = Counter(name for row in truth for name in row)
    classes = sorted(output.classes, key=lambda name: -often[name])[: figures.MOST_BARS]
    true, said = scoring.flags(truth, classes), scoring.flags(answers.values, classes)
    each = f1_score(true, said, average=None, zero_division=0)
    values = dict(sorted(zip(map(str, classes), each.tolist(), strict=True), key=lambda item: -item[1]))
    of = "" if len(classes) == len(output.classes) else f" of the {len(classes)} most frequent labels"
    return figures.bars(title, values, f"F1{of}")


def _sizes(title: str, answers: Answers, _: Truth | None, output: Output) -> Figure:
    sizes = Counter(dict.fromkeys(output.classes, 0))
    sizes.update(answers.values)
    return figures.bars(title, {str(k): float(n) for k, n in sizes.most_common(figures.MOST_BARS)}, "rows", "{:,.0f}")


def _scores(title: str, answers: Answers, truth: Truth | None, output: Output) -> Figure | None:
    ranks = scoring.ranks(answers, output)
    known = scoring.outlying(truth, output)
    apart = scoring.outlying(answers.values, output) if known is None else known
    if ranks is None or apart is None:
        return None
    unusual, is_outlier = ranks[:, output.labels.index(-1)], np.array(apart)
    figure, axes = figures.single(title, "outlier score: higher is more unusual", "rows")
    edges = np.histogram_bin_edges(unusual, bins=40)
    words = ("called normal", "called outliers") if known is None else ("truly normal", "true outliers")
    for word, rows, colour in zip(words, (~is_outlier, is_outlier), COLOURS, strict=False):
        axes.hist(unusual[rows], edges.tolist(), color=colour, alpha=0.75, label=word)
    if output.scores == "decisions" and output.rule == "predict":
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=":", label="called outliers from here on")
    axes.legend()
    return figure


_AGAINST_TRUTH: dict[str, dict[str, Callable[[str, Answers, Truth, Output], Figure | None]]] = {
    "classification": {
        "Confusion matrix": class_plots.confusion,
        "Most frequent mistakes": class_plots.mistakes,
        "ROC curve": class_plots.roc,
        "Precision and recall": class_plots.precision_recall,
        "Calibration": class_plots.calibration,
        "Accuracy by output": class_plots.by_output,
    },
    "regression": {"Predicted and true": _predicted, "Residuals": _residuals},
    "multilabel": {"F1 by label": _labels},
}
_ALONE: dict[str, dict[str, Callable[[str, Answers, Truth | None, Output], Figure | None]]] = {
    "clustering": {"Cluster sizes": _sizes},
    "outliers": {"Outlier scores": _scores},
}
