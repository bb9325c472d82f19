"""Charts: a metric over the versions of a model, as the lines and points of a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract.promotions import CHAMPION
from serving.catalogue import VersionSummary

WIDTH, HEIGHT = 320, 110
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 12, 12
MOST_CHARTS = 6


@dataclass(frozen=True, slots=True)
class Point:
    """One version in a chart."""

    x: float
    y: float
    version: int
    value: float
    champion: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric."""

    metric: str
    points: tuple[Point, ...]

    @property
    def line(self) -> str:
        """The points as SVG joins them."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)

    @property
    def least(self) -> float:
        """The lowest value."""
        return min(point.value for point in self.points)

    @property
    def most(self) -> float:
        """The highest value."""
        return max(point.value for point in self.points)


def share(value: float, least: float, most: float) -> float:
    """How far up a value lies between two others; in the middle where they are the same."""
    half = most / 2 - least / 2  # all of it may be more than a float holds
    return (value / 2 - least / 2) / half if half else 0.5


def charts(summaries: Sequence[VersionSummary]) -> list[Chart]:
    """The first metrics of some versions, each where at least two have it."""
    versions = sorted(summaries, key=lambda found: found.version)
    names = dict.fromkeys(name for found in reversed(versions) for name in found.metrics)
    found = [_chart(name, [one for one in versions if name in one.metrics]) for name in names]
    return [chart for chart in found if len(chart.points) > 1][:MOST_CHARTS]


def _chart(metric: str, versions: Sequence[VersionSummary]) -> Chart:
    values = [one.metrics[metric] for one in versions]
    least, most = min(values), max(values)
    across = (WIDTH - _LEFT - _RIGHT) / max(1, len(versions) - 1)
    points = []
    for place, (one, value) in enumerate(zip(versions, values, strict=True)):
        y = HEIGHT - _BOTTOM - share(value, least, most) * (HEIGHT - _TOP - _BOTTOM)
        points.append(Point(_LEFT + place * across, y, one.version, value, CHAMPION in one.aliases))
    return Chart(metric, tuple(points))
