"""Figures: how every plot looks, in JupyterLab's light theme as in its dark one, and what they are made of.

Nothing here touches pyplot, and the notebook's own style neither comes in nor is changed.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#797979"
"""Text and lines: as far from white as from #111, 4.3 to 1."""
COLOURS = ("#1c7cc0", "#d55e00", "#009e73", "#b5679b")
"""Told apart with every kind of colour vision (after Okabe and Ito), and at least 3 to 1 from white and from #111."""
MOST_BARS = 20
MOST_POINTS = 2_000
"""A scatter shows no more rows than this."""
MOST_POINTS_SMALL = 200
"""The same of a small panel."""

MOST_NUMBERED = 12
"""A matrix of more classes than this has colours only."""

_MOST_WITH_ZEROS = 5
_LETTERS_ACROSS = 26
_SHADES = ("#767676", "#1c7cc0")
"""Of the least and the greatest share; white stands out from both."""
_VECTOR_POINTS = 100
_LARGE_BYTES = 6_000
_STYLE: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": 144,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "lectern",
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5"
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 8,
}


@contextmanager
def style() -> Iterator[None]:
    """Within it every figure looks like ours; afterwards matplotlib's settings are what they were."""
    import matplotlib.style

    with warnings.catch_warnings(action="ignore"), matplotlib.style.context(_STYLE, after_reset=True):
        yield


def panels(count: int, width: float = 3.8, height: float = 3.1) -> tuple[Figure, list[Axes]]:
    """A figure of `count` plots, up to three in a row, each of the width and height in inches."""
    from matplotlib.figure import Figure

    columns = min(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows))
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    return figure, axes


def single(title: str, across: str, up: str, width: float = 3.8, height: float = 3.1) -> tuple[Figure, Axes]:
    """A figure of one plot with a title and the names of its axes."""
    figure, (axes,) = panels(1, width, height)
    axes.set_title(title)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return figure, axes


def svg(figure: Figure) -> bytes:
    """The figure as it is stored: the same bytes for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(rb"(?<=data:image/png;base64,)[^\"]+", _smaller, file.getvalue())


def _smaller(found: re.Match[bytes]) -> bytes:
    """A large picture in 64 colours, which is enough for dots of one."""
    from PIL import Image

    if len(found[0]) < _LARGE_BYTES:
        return found[0]
    file = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(found[0])))
    picture.quantize(64, Image.Quantize.FASTOCTREE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue())


def label(name: Any, longest: int = 22) -> str:
    """A name as it stands in a figure: on one line, not too long, without what no SVG may hold."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(name)).strip() or repr(name)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def bars(title: str, values: dict[str, float], across: str, form: str = "{:.2f}") -> Figure:
    """A bar for each name, the first one on top, with its number beside it."""
    figure, axes = single(title, across, "", 4.8, 0.9 + 0.22 * max(3, len(values)))
    places = range(len(values))
    drawn = axes.barh(places, list(values.values()), height=0.7, color=COLOURS[0])
    axes.bar_label(drawn, [form.format(value) for value in values.values()], padding=3, fontsize=8, color=INK)
    axes.set_yticks(places, [label(name, 46) for name in values])
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.tick_params(axis="y", length=0)
    return figure


def scatter(axes: Axes, across: Any, up: Any, size: float) -> None:
    """A dot for each row; many are one picture, not as many shapes."""
    few = len(across) <= _VECTOR_POINTS
    alpha = 0.8 if few else 0.5
    axes.scatter(across, up, size, color=COLOURS[0], alpha=alpha, linewidths=0, rasterized=not few)


def sampled(count: int, most: int = MOST_POINTS) -> Any:
    """The places of at most `most` of `count` rows, the same at each call."""
    return np.arange(count) if count <= most else np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def thinned(*columns: Any, most: int = 200) -> Iterator[Any]:
    """At most `most` of the points of a curve, its ends among them."""
    kept = np.unique(np.linspace(0, len(columns[0]) - 1, min(most, len(columns[0]))).round().astype(int))
    return (column[kept] for column in columns)


def matrix(axes: Axes, counts: Any, names: Sequence[Any]) -> None:
    """Counts of rows by true class (down) and answered class (across), coloured by their share of the true class."""
    size = len(names)
    total = counts.sum(axis=1, keepdims=True)
    part = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    low, high = (np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]) for colour in _SHADES)
    picture = np.ones((size, size, 4))
    if size <= MOST_NUMBERED:
        picture[..., :3], picture[..., 3] = low + part[..., None] * (high - low), counts > 0
    else:
        picture[..., :3], picture[..., 3] = high, np.sqrt(part)  # a few mistakes are to be seen too
    axes.imshow(picture, interpolation="none")
    places, shown = range(size), [label(name) for name in names]
    axes.set_xticks(places, shown, rotation=0 if max(map(len, shown)) * size <= _LETTERS_ACROSS else 90)
    axes.set_yticks(places, shown)
    axes.tick_params(length=0)
    for i, j in np.argwhere(counts if size > _MOST_WITH_ZEROS else counts >= 0) if size <= MOST_NUMBERED else ():
        colour = "white" if counts[i, j] else INK
        axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", color=colour, fontsize=8)


def by_panel(title: str, across: str, up: str, names: Sequence[str], draw: Callable[[Axes, int], None]) -> Figure:
    """One figure with a small panel for each name."""
    figure, axes = panels(len(names), 2.5, 2.3)
    figure.suptitle(title, fontsize=10)
    figure.supxlabel(across, fontsize=9)
    figure.supylabel(up, fontsize=9)
    for i, one in enumerate(axes):
        draw(one, i)
        one.set_title(names[i], fontsize=9)
        one.locator_params(nbins=4)
    return figure
