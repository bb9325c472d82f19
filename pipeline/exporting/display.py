"""How an exported model shows itself: a table in JupyterLab, lines in a terminal. Stable, small, without script."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from contract import metric_names
from contract.manifest import Manifest
from contract.showing import MOST_NAMES, Table, coloured, figure, listed, mark
from pipeline.gating.deciding import Decision

WARNING = "Warning: "
"""How a note starts that asks for a look; the others are remarks."""

MOST_CANDIDATES = 20
"""Of a search no more candidates than this are shown."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True, repr=False)
class Exported:
    """What `export` made: the model, its version (None until the runner publishes it), and the champion before it.

    `decision` says whether it is the champion now (None until the runner decides). Where both were compared on the same
    rows, the champion's figures are those of these rows, else those of its own export.

    `notes` are warnings and remarks, `plots` SVG documents by title, `search` the best candidates of a search.
    """

    manifest: Manifest
    version: int | None
    store: Path
    before: tuple[int, Manifest] | None = None
    decision: Decision | None = None
    notes: tuple[str, ...] = ()
    plots: Mapping[str, bytes] = field(default_factory=dict)
    search: list[dict[str, Any]] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The model's name."""
        return self.manifest.model

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics by name."""
        return dict(self.manifest.metrics)

    def __repr__(self) -> str:
        lines = [f"{self._title()}: {self._runtime()}"]
        width = max([18, *map(len, self.manifest.metrics)])
        for name, now, was, better in self._rows():
            change = "" if better is None else ", better" if better else ", worse"
            beside = f"   (version {self._earlier()}: {figure(was)}{change})" if was is not None else ""
            lines.append(f"  {name:<{width}} {figure(now)}{beside}")
        told = [*self._decided(), *self.notes, self._call()]
        return "\n".join([*lines, *(f"  {text}" for text in told)])

    def _repr_html_(self) -> str:
        return (
            f"<div><p><strong>{escape(self._title())}</strong><br>{escape(self._runtime())}</p>{self._table()}"
            f"{''.join(f'<p>{escape(text)}</p>' for text in self._decided())}{self._notes()}"
            f"<p><code>{escape(self._call())}</code></p>{self._pictures()}{self._candidates()}</div>"
        )

    def _title(self) -> str:
        state = "staged, a version as soon as the run ends" if self.version is None else f"version {self.version}"
        return f"{self.model} {state}"

    def _runtime(self) -> str:
        runtime = self.manifest.runtime
        return "runs as ONNX" if runtime.format == "onnx" else f"runs as joblib ({runtime.reason})"

    def _call(self) -> str:
        names = self.manifest.signature.names
        count = f" ({len(names)} fields)" if len(names) > MOST_NAMES else ""
        return f"POST /models/{self.model}/predict  with  {listed(names)}{count}"

    def _decided(self) -> list[str]:
        return [] if self.decision is None else [str(self.decision), *self.decision.notes]

    def _earlier(self) -> int | None:
        return self.before[0] if self.before else None

    def _rows(self) -> Iterator[tuple[str, float, float | None, bool | None]]:
        """The name of each metric, its value now and before, and whether that is better, as far as it can be seen."""
        earlier = dict(self.before[1].metrics) if self.before else {}
        if self.decision is not None and self.decision.comparison is not None:
            lines = self.decision.comparison.table
            earlier |= {line.metric: line.champion for line in lines if line.champion is not None and not line.rows}
        for name, value in self.manifest.metrics.items():
            was = earlier.get(name)
            yield name, value, was, None if figure(value) == figure(was) else metric_names.better(name, was, value)

    def _table(self) -> str:
        rows: list[dict[str, str]] = []
        for name, now, was, better in self._rows():
            beside = {f"version {self._earlier()}": figure(was), " ": mark(now - (was or 0), better)}
            rows.append({"": name, "this": figure(now), **(beside if self.before else {})})
        return Table.of(rows).html()

    def _notes(self) -> str:
        items = ""
        for note in self.notes:
            warning = f"<strong>{coloured('⚠', 'warning')} {WARNING.strip()}</strong> "
            items += f"<li>{warning if note.startswith(WARNING) else ''}{escape(note.removeprefix(WARNING))}</li>"
        return f"<ul>{items}</ul>" if items else ""

    def _pictures(self) -> str:
        images = "".join(
            f"<img alt='{escape(title)}' src='data:image/svg+xml;base64,{b64encode(svg).decode()}' "
            "style='display:inline-block;max-width:100%;vertical-align:top'>"
            for title, svg in self.plots.items()
        )
        return f"<details><summary>Plots</summary><div>{images}</div></details>" if images else ""

    def _candidates(self) -> str:
        if not self.search:
            return ""
        names = dict.fromkeys(name for row in self.search for name in row["params"])
        table = Table.of(
            {name: _score(value) for name, value in row.items() if name != "params"}
            | {name: _told(row["params"], name) for name in names}
            for row in self.search
        )
        return f"<details><summary>Search results</summary>{table.html()}</details>"


def search_results(fitted: Any) -> list[dict[str, Any]]:
    """The candidates of a fitted search, or of one that is a step of a chain or a pipeline; best first, or none.

    Each has `rank`, `mean_test_score`, `std_test_score` and `params`; of several scores it is the one that chose. A
    score that could not be computed is None.
    """
    steps = [step for _, step in getattr(fitted, "steps", [])] if not isinstance(fitted, list | tuple) else fitted
    for step in [*steps, fitted]:
        try:
            return _candidates_of(step.cv_results_, step)
        except Exception:  # noqa: BLE001  # no search, or one of another kind
            continue
    return []


def _candidates_of(results: Mapping[str, Any], search: Any) -> list[dict[str, Any]]:
    scores = [name.removeprefix("rank_test_") for name in results if name.startswith("rank_test_")]
    chose = getattr(search, "refit", None)
    score = chose if chose in scores else scores[0]
    ranks: Sequence[Any] = results[f"rank_test_{score}"]
    best = sorted(range(len(ranks)), key=lambda i: int(ranks[i]))[:MOST_CANDIDATES]
    return [
        {
            "rank": int(ranks[i]),
            f"mean_test_{score}": _finite(results[f"mean_test_{score}"][i]),
            f"std_test_{score}": _finite(results[f"std_test_{score}"][i]),
            "params": {name: _plain(value) for name, value in results["params"][i].items()},
        }
        for i in best
    ]


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool | int | float | str | None):
        return value
    return _ADDRESS.sub("", " ".join(repr(value).split()))


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _score(value: Any) -> Any:
    return figure(value) if isinstance(value, float | None) else value


def _told(params: Mapping[str, Any], name: str) -> Any:
    value = params.get(name, "")
    return value if isinstance(value, int | float) else f"{value!s:.60}"
