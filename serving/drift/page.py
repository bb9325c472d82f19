"""The page of drift: bars of what was expected and what came, and the index over time, as figures of a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serving.drift.report import DriftDocument, DriftField

MOST_FIELDS = 30
MOST_BARS = 14
"""Of more bins the page draws those that moved furthest; the document has all."""
MOST_BINS = 24
WIDTH, HEIGHT = 320, 72
_GAP = 4
LINE_HEIGHT = 44


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin: what was expected behind what came."""

    label: str
    x: float
    width: float
    expected: float
    """Shares, and how high they stand."""
    now: float
    expected_height: float
    now_height: float


@dataclass(frozen=True, slots=True)
class Line:
    """The index over time."""

    points: str
    limit: float
    """Where the limit of an alarm lies."""
    most: float
    first: datetime


@dataclass(frozen=True, slots=True)
class Card:
    """One field."""

    field: DriftField
    bars: tuple[Bar, ...]
    told: tuple[str, ...]
    """What is to be said of rows that are missing or unlike all that were seen."""
    line: Line | None

    @property
    def said(self) -> str:
        """Index and p-value."""
        psi, p_value = self.field.psi or 0.0, self.field.p_value or 0.0
        return f"Index {psi:.3f}, p {'less than 0.001' if p_value < 0.001 else f'{p_value:.3f}'}"

    @property
    def rows(self) -> list[tuple[str, str, str, int]]:
        """The bins in numbers."""
        found, total = self.field.bins[:MOST_BINS], max(1, sum(one.count for one in self.field.bins))
        return [(one.label, f"{one.expected:.1%}", f"{one.count / total:.1%}", one.count) for one in found]

    @property
    def spoken(self) -> str:
        """What the bars show, for who cannot see them."""
        furthest = sorted(self.bars, key=lambda bar: -abs(bar.now - bar.expected))[:3]
        shares = (f"{bar.label}: {bar.expected:.0%} and {bar.now:.0%}" for bar in furthest)
        return f"{self.field.name}, share of rows expected and now: {'; '.join(shares)}"


def facts(found: DriftDocument, past: Sequence[tuple[float, Sequence[float]]], names: Sequence[str]) -> dict[str, Any]:
    """What the page shows; `past` has an index for each of the `names`."""
    by_name = {name: [(moment, psis[place]) for moment, psis in past] for place, name in enumerate(names)}
    cards = [_card(field, by_name, found.psi_limit) for field in found.fields[:MOST_FIELDS]]
    return {
        "found": found,
        "cards": cards if found.state != "waiting" else [],
        "alarms": sum(field.alarm for field in found.fields),
        "more": max(0, len(found.fields) - MOST_FIELDS),
        "width": WIDTH,
        "height": HEIGHT,
        "line_height": LINE_HEIGHT,
    }


def _card(field: DriftField, past: Mapping[str, Sequence[tuple[float, float]]], limit: float) -> Card:
    return Card(field, tuple(_bars(field)), tuple(_told(field)), _line(past.get(field.name, ()), limit))


def _bars(field: DriftField) -> list[Bar]:
    rows = max(1, sum(one.count for one in field.bins))
    shares = [(one.label, one.expected, one.count / rows) for one in field.bins]
    shares = [one for one in shares if one[1] or one[2]]
    if len(shares) > MOST_BARS:
        shares = sorted(shares, key=lambda one: -abs(one[1] - one[2]))[:MOST_BARS]
    most = max((max(one[1:]) for one in shares), default=1.0) or 1.0
    width = WIDTH / max(1, len(shares))
    return [
        Bar(label, place * width + _GAP / 2, width - _GAP, expected, now, expected / most * HEIGHT, now / most * HEIGHT)
        for place, (label, expected, now) in enumerate(shares)
    ]


def _told(field: DriftField) -> Iterator[str]:
    for what, share in (("missing", field.missing), ("unseen", field.unseen), ("out of range", field.out_of_range)):
        if share is not None and (share.now or share.then):
            yield f"{_share(share.now)} {what}, {_share(share.then)} expected"


def _share(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def _line(past: Sequence[tuple[float, float]], limit: float) -> Line | None:
    if len(past) < 2:
        return None
    most = max(limit, *(psi for _, psi in past)) or 1.0
    across = WIDTH / (len(past) - 1)
    points = " ".join(
        f"{place * across:.1f},{LINE_HEIGHT - psi / most * LINE_HEIGHT:.1f}" for place, (_, psi) in enumerate(past)
    )
    first = datetime.fromtimestamp(past[0][0], UTC)
    return Line(points, LINE_HEIGHT - limit / most * LINE_HEIGHT, most, first)
