"""Drawing: the report of quality as lines over time, one for each version, all on the same scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contract.metric_names import better
from serving.pages.charts import HEIGHT, WIDTH, share
from serving.quality.report import QualityDocument, VersionQuality

MOST_LINES, MOST_ROWS = 6, 100
"""Versions that are drawn, and those that are listed, of each the newest."""
_EDGE = 10


@dataclass(frozen=True, slots=True)
class Point:
    """A metric of a version in one part of the time."""

    x: float
    y: float
    begin: datetime
    value: float
    rows: int


@dataclass(frozen=True, slots=True)
class Line:
    """A metric of one version over time."""

    version: int
    points: tuple[Point, ...]
    trained: float | None
    """What it was when the version was trained."""
    level: float
    """Where that is drawn."""

    @property
    def path(self) -> str:
        """The points as SVG joins them."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


def facts(found: QualityDocument) -> dict[str, Any]:
    """What the page of a report shows."""
    names = list(dict.fromkeys(name for one in found.versions for name in one.metrics))
    drawn = [one for one in found.versions if found.metric in one.metrics][:MOST_LINES]
    return {
        "found": found,
        "heads": [(name, any(name in one.trained for one in found.versions)) for name in names],
        "lines": _lines(found, drawn),
        "rows": [(one, _cells(one, names)) for one in found.versions[:MOST_ROWS]],
        "width": WIDTH,
        "height": HEIGHT,
    }


def _cells(one: VersionQuality, names: Sequence[str]) -> list[tuple[float | None, float | None, bool | None]]:
    """Of each metric what it is, what it was in training, and whether that became better."""
    pairs = [(one.metrics.get(name), one.trained.get(name)) for name in names]
    return [(now, was, better(name, was, now)) for name, (now, was) in zip(names, pairs, strict=True)]


def _lines(found: QualityDocument, drawn: Sequence[VersionQuality]) -> list[Line]:
    metric, begin, end = found.metric, found.begin, found.end
    if metric is None or begin is None or end is None or not drawn:
        return []
    spans = [[span for span in one.over_time if metric in span.metrics] for one in drawn]
    values = [span.metrics[metric] for some in spans for span in some]
    values += [one.trained[metric] for one in drawn if metric in one.trained]
    least, most = min(values), max(values)
    time = (end - begin).total_seconds()

    def high(value: float) -> float:
        return HEIGHT - _EDGE - share(value, least, most) * (HEIGHT - 2 * _EDGE)

    def along(moment: datetime) -> float:
        gone = (moment - begin).total_seconds() / time if time else 0.5
        return _EDGE + min(1.0, gone) * (WIDTH - 2 * _EDGE)

    lines = []
    for one, some in zip(drawn, spans, strict=True):
        points = [
            Point(
                along(span.begin + (span.end - span.begin) / 2),
                high(span.metrics[metric]),
                span.begin,
                span.metrics[metric],
                span.rows,
            )
            for span in some
        ]
        trained = one.trained.get(metric)
        lines.append(Line(one.version, tuple(points), trained, 0.0 if trained is None else high(trained)))
    return lines
