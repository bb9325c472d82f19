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

from contract.manifest import Manifest
from contract.metric_names import direction
from pipeline.gating.deciding import Decision

WARNING = "Warning: "
_MOST_FIELDS = 12
"""How a note starts that asks for a look; the others are remarks."""

MOST_CANDIDATES = 20
"""Of a search no more candidates than this are shown."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_LEFT = "style='text-align:left'"
_MARK = "style='color:var(--jp-warn-color1, #d55e00)'"


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
        for name, now, was, change in self._rows():
            beside = f"   (version {self._earlier()}: {was}{f', {change}' if change else ''})" if was else ""
            lines.append(f"  {name:<{width}} {now}{beside}")
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
        return f"POST /models/{self.model}/predict  with  {_listed(self.manifest.signature.names)}"

    def _decided(self) -> list[str]:
        return [] if self.decision is None else [str(self.decision), *self.decision.notes]

    def _earlier(self) -> int | None:
        return self.before[0] if self.before else None

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        """The name of each metric, its value now and before, and whether that is better or worse."""
        earlier = dict(self.before[1].metrics) if self.before else {}
        if self.decision is not None and self.decision.comparison is not None:
            lines = self.decision.comparison.table
            earlier |= {line.metric: line.champion for line in lines if line.champion is not None}
        for name, value in self.manifest.metrics.items():
            was = earlier.get(name)
            if was is None:
                yield name, _figure(value), "", ""
                continue
            up, same = direction(name), _figure(value) == _figure(was)
            change = "" if up is None or same else "better" if (value > was) == up else "worse"
            yield name, _figure(value), _figure(was), change

    def _table(self) -> str:
        body = ""
        for name, now, was, change in self._rows():
            arrow = f"{'▲' if change == 'better' else '▼'} {change}" if change else ""
            beside = f"<td>{was}</td><td {_LEFT}>{arrow}</td>" if self.before else ""
            body += f"<tr><th {_LEFT}>{escape(name)}</th><td>{now}</td>{beside}</tr>"
        earlier = f"<th>version {self._earlier()}</th><th></th>" if self.before else ""
        head = f"<thead><tr><th></th><th>this</th>{earlier}</tr></thead>"
        return f"<table>{head}<tbody>{body}</tbody></table>" if body else ""

    def _notes(self) -> str:
        items = ""
        for note in self.notes:
            text = escape(note.removeprefix(WARNING))
            mark = f"<strong {_MARK}>⚠ {WARNING.strip()}</strong> " if note.startswith(WARNING) else ""
            items += f"<li>{mark}{text}</li>"
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
        names = list(dict.fromkeys(name for row in self.search for name in row["params"]))
        columns = ["rank", *(column for column in self.search[0] if column not in ("rank", "params"))]
        head = "".join(f"<th>{escape(name)}</th>" for name in [*columns, *names])
        body = ""
        for row in self.search:
            cells = [*(_score(row[column]) for column in columns), *(_told(row["params"], name) for name in names)]
            body += f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<details><summary>Search results</summary>{table}</details>"


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


def _score(value: Any) -> str:
    return "" if value is None else _figure(value) if isinstance(value, float) else str(value)


def _told(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name, "")
    return f"{value:.4g}" if isinstance(value, float) else f"{value!s:.60}"


def _figure(value: float) -> str:
    """A metric to four decimals; one that is very small or large to four digits."""
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 1_000_000 else f"{value:.4g}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_FIELDS]) + (f", … ({len(names)} fields)" if len(names) > _MOST_FIELDS else "")
