"""Plots of classes: which are taken for which, and how well scores tell them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.answers import Answers
from contract.signature import Output
from pipeline.measuring import figures, scoring
from pipeline.measuring.figures import COLOURS, INK, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 30
MOST_CURVES = 8

_BINS = 10
_LEAST_PER_BIN = 10

Truth = Sequence[Any]


def _classes(answers: Answers, truth: Truth, output: Output) -> list[Any]:
    """All that are known, answered or true; open ones in the order of their names."""
    found = dict.fromkeys([*truth, *answers.values])
    return list(dict.fromkeys([*output.classes, *(found if output.classes else sorted(found, key=str))]))


def confusion(title: str, answers: Answers, truth: Truth, output: Output) -> Figure | None:
    """Rows by true and answered class, of up to thirty classes."""
    if output.width is not None:
        return None
    classes = _classes(answers, truth, output)
    size = len(classes)
    if not 1 < size <= MOST_CLASSES:
        return None
    place = {name: i for i, name in enumerate(classes)}
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, ([place[name] for name in truth], [place[name] for name in answers.values]), 1)
    side = 2.0 + (0.36 if size <= figures.MOST_NUMBERED else 0.18) * size
    figure, axes = figures.single(title, "answered", "true", side + 0.6, side)
    figures.matrix(axes, counts, classes)
    return figure


def mistakes(title: str, answers: Answers, truth: Truth, output: Output) -> Figure | None:
    """The pairs of classes that are mixed up most, where there are more."""
    if output.width is not None or len(_classes(answers, truth, output)) <= MOST_CLASSES:
        return None
    pairs = Counter((a, b) for a, b in zip(truth, answers.values, strict=True) if a != b)
    most = {f"{label(a)} answered as {label(b)}": float(n) for (a, b), n in pairs.most_common(figures.MOST_BARS)}
    return figures.bars(title, most, "rows", "{:,.0f}") if most else None


def _ranked(answers: Answers, truth: Truth, output: Output) -> list[tuple[Any, Any, Any]]:
    """Class, which rows are of it, what speaks for it: of two classes the second, else of those with most rows."""
    ranks = None if output.width is not None else scoring.ranks(answers, output)
    if ranks is None or len(output.classes) < 2:
        return []
    often = Counter(truth)
    ordered = sorted(range(len(output.classes)), key=lambda i: -often[output.classes[i]])[:MOST_CURVES]
    found = []
    for i in [1] if len(output.classes) == 2 else sorted(ordered):
        true = np.array([name == output.classes[i] for name in truth])
        if 0 < true.sum() < len(true):
            found.append((output.classes[i], true, ranks[:, i]))
    return found


def roc(title: str, answers: Answers, truth: Truth, output: Output) -> Figure | None:
    """The receiver operating characteristic: of two classes the second, else each against the rest."""
    from sklearn.metrics import auc, roc_curve

    curves = _ranked(answers, truth, output)
    if not curves:
        return None
    of = f" of {label(curves[0][0])}" if len(output.classes) == 2 else ""
    figure, axes = figures.single(title, "false positive rate", f"true positive rate{of}")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    for i, (name, true, ranks) in enumerate(curves):
        across, up, _ = roc_curve(true, ranks)
        text = f"{'area' if of else label(name)} {auc(across, up):.3f}"
        dash = "-" if i < len(COLOURS) else "--"
        axes.plot(*figures.thinned(across, up), color=COLOURS[i % len(COLOURS)], linestyle=dash, label=text)
    axes.legend(loc="lower right", title=None if of else "against the rest: area", title_fontsize=8)
    return figure


def precision_recall(title: str, answers: Answers, truth: Truth, output: Output) -> Figure | None:
    """Precision over recall for the second of two classes; dotted what chance would reach."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    curves = _ranked(answers, truth, output)
    if not curves or len(output.classes) != 2:
        return None
    name, true, ranks = curves[0]
    figure, axes = figures.single(title, f"recall: share of {label(name)} found", "precision: share of finds right")
    precision, recall, _ = precision_recall_curve(true, ranks)
    mean = average_precision_score(true, ranks)
    axes.axhline(true.mean(), color=INK, linewidth=0.8, linestyle=":")
    axes.plot(*figures.thinned(recall, precision), color=COLOURS[0], label=f"average precision {mean:.3f}")
    axes.set_ylim(0, 1.03)
    axes.legend(loc="lower left")
    return figure


def calibration(title: str, answers: Answers, truth: Truth, output: Output) -> Figure | None:
    """The share that is of the second class over its mean probability, in bins of as many rows each."""
    shares = None if output.width is not None else scoring.shares(answers, output)
    bins = min(_BINS, len(truth) // _LEAST_PER_BIN)
    if shares is None or len(output.classes) != 2 or bins < 3:
        return None
    said, true = shares[:, 1], np.array([name == output.classes[1] for name in truth])
    edges = np.unique(np.quantile(said, np.linspace(0, 1, bins + 1)))  # as many rows in each bin
    place = np.clip(np.searchsorted(edges, said, side="right") - 1, 0, max(0, len(edges) - 2))
    groups = [place == i for i in np.unique(place)]
    name = label(output.classes[1])
    figure, axes = figures.single(title, f"mean probability of {name}", f"share that is {name}")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="perfect")
    across, up = [said[group].mean() for group in groups], [true[group].mean() for group in groups]
    axes.plot(across, up, color=COLOURS[0], marker="o", markersize=4, label="this model")
    axes.legend(loc="upper left")
    return figure


def by_output(title: str, answers: Answers, truth: Truth, output: Output) -> Figure | None:
    """The accuracy of each of several outputs."""
    if output.width is None:
        return None
    right = np.array([[a == b for a, b in zip(*rows, strict=True)] for rows in zip(answers.values, truth, strict=True)])
    names = output.names or range(output.width)
    values = {str(name): float(share) for name, share in zip(names, right.mean(axis=0), strict=True)}
    return figures.bars(title, dict(list(values.items())[: figures.MOST_BARS]), "accuracy")
