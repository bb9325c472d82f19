"""The plot of a sweep: its metric against each parameter that was varied, side by side."""

from __future__ import annotations

from pathlib import Path

from pipeline.sweeping.leaderboard import Leaderboard

MAX_PANELS = 12
_SPREAD = 50
"""How many times the smallest value the largest must be for a logarithmic axis."""


def draw(board: Leaderboard, path: Path) -> None:
    """Write the plot as SVG; the best run is marked."""
    from matplotlib.figure import Figure

    scored = [(record, score) for record in board.ranked() if (score := board.score(record)) is not None]
    names = board.varied[:MAX_PANELS] or ["run"]
    figure = Figure(figsize=(3.2 * len(names) + 0.6, 3.2), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        values = [record.parameters.get(name, index) for index, (record, _) in enumerate(scored)]
        numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        places = numbers if len(numbers) == len(values) else [str(value)[:20] for value in values]
        panel.scatter(places, [score for _, score in scored], s=18, alpha=0.7)
        panel.scatter(places[:1], [score for _, score in scored[:1]], s=90, facecolors="none", edgecolors="C3")
        if places is not numbers:
            panel.tick_params(axis="x", rotation=30)
        elif min(numbers, default=0) > 0 and max(numbers) / min(numbers) > _SPREAD:
            panel.set_xscale("log")
        panel.set_xlabel(name)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(str(board.metric))
    figure.savefig(path, format="svg", metadata={"Date": None})
