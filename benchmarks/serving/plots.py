"""Plots of the report, each as PNG and SVG; the same figures give the same bytes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.serving.results import Results

OURS, OTHERS, CEILING = "#0b6e4f", "#9aa5b1", "#d9a441"
_CEILINGS = ("echo", "in-process")
PLOTS = {
    "one-row": ("One row a request, 16 connections", "requests per second", "one-row/16", "rps", True),
    "thousand-rows": (
        "A thousand rows a request, 4 connections",
        "rows per second",
        "thousand-rows",
        "rows_per_s",
        True,
    ),
    "joblib": ("A model that stays Python, 64 connections", "requests per second", "joblib", "rps", False),
    "cold": ("Cold start: from the command to the first right answer", "seconds", "cold", "s", False),
    "memory": ("Memory after 1,000 requests", "megabytes (PSS)", "memory", "mb", False),
}


def draw(results: Results, folder: Path) -> None:
    """Draw what has figures."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "lectern", "font.family": "DejaVu Sans", "font.size": 10}):
        for name, (title, unit, case, figure, log) in PLOTS.items():
            found = bars(results, case, figure)
            if not found:
                continue
            drawing, axes = plt.subplots(figsize=(8, 0.36 * len(found) + 1.3), layout="constrained")
            names, values, colours = zip(*found, strict=True)
            drawn = axes.barh(names, values, color=colours, height=0.7)
            axes.bar_label(drawn, [_label(value) for value in values], padding=4)
            if log:
                axes.set_xscale("log")
            axes.margins(x=0.12)
            axes.invert_yaxis()
            axes.set_title(title, loc="left", fontweight="bold")
            axes.set_xlabel(f"{unit}{', logarithmic' if log else ''}")
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.tick_params(axis="y", length=0)
            axes.set_axisbelow(True)
            axes.grid(axis="x", color="#e5e8eb")
            drawing.savefig(folder / f"{name}.svg", metadata={"Date": None})
            drawing.savefig(folder / f"{name}.png", dpi=120, metadata={"Software": None})
            plt.close(drawing)


def bars(results: Results, case: str, figure: str) -> list[tuple[str, float, str]]:
    """Title, median and colour of each server that has the figure, the highest first."""
    found = []
    for name, entry in results.servers.items():
        value = results.median(name, case, figure)
        if value:
            colour = OURS if name.startswith("lectern") else CEILING if name in _CEILINGS else OTHERS
            found.append((entry["title"], value, colour))
    return sorted(found, key=lambda bar: -bar[1])


def _label(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
