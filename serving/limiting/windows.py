"""Windows: what was asked for lately, counted in this process.

A period is counted in parts, and each part is forgotten as a whole once all of it is over: no period of that length,
wherever it begins, ever has more than is allowed, and what is kept does not grow with the amount. Of each limit the
callers that asked last are remembered, so that names without end take no memory without end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from serving.limiting.rules import Rule

PARTS = 60
"""Of a period: what was refused may be asked for again a sixtieth of the period later than could be, at the most."""
MOST = 100_000
"""Callers that are remembered of each limit."""

Kind = Literal["caller", "address", "rows", "failed"]
"""Whose what is limited: requests of a caller, of an address, rows of a caller, refused keys of an address."""


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """A rule, and what it is for."""

    kind: Kind
    rule: Rule


class Ask(NamedTuple):
    """Somebody asks for something that is limited."""

    limit: Limit
    who: str
    cost: int


class Refused(NamedTuple):
    """What is not there any more."""

    limit: Limit
    left: int
    wait_s: float
    """Until there is as much as was asked for; or all of it, where that was more than there ever is."""


class Windows:
    """The counts of this process; for one thread, and it never waits."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._tables: dict[Limit, OrderedDict[str, _Window]] = {}

    def take(self, asks: Sequence[Ask], now: float) -> Refused | None:
        """Take all that is asked for, or nothing of it where anything is not there.

        Args:
            asks: what is asked for.
            now: the time in seconds, of a clock that nobody sets.
        """
        found = []
        for ask in asks:
            limit, who, cost = ask
            amount, period_s, _ = limit.rule
            part = int(now * PARTS / period_s)
            window = self._window(limit, who)
            window.forget(part - PARTS)
            if window.total + cost > amount:
                return Refused(limit, amount - window.total, window.free(min(cost, amount), amount, period_s, now))
            found.append((window, part, cost))
        for window, part, cost in found:
            window.add(part, cost)
        return None

    def _window(self, limit: Limit, who: str) -> _Window:
        table = self._tables.setdefault(limit, OrderedDict())
        window = table.get(who)
        if window is None:
            window = table[who] = _Window()
            if len(table) > self._most:
                table.popitem(last=False)
        else:
            table.move_to_end(who)
        return window


class _Window:
    """What one caller has had of one limit."""

    __slots__ = ("counts", "parts", "total")

    def __init__(self) -> None:
        self.total = 0
        self.parts: list[int] = []
        """The numbers of the parts in which anything was had, the oldest first."""
        self.counts: list[int] = []

    def forget(self, before: int) -> None:
        """Forget the parts before one."""
        while self.parts and self.parts[0] < before:
            del self.parts[0]
            self.total -= self.counts.pop(0)

    def add(self, part: int, cost: int) -> None:
        """Count something."""
        if self.parts and self.parts[-1] == part:
            self.counts[-1] += cost
        else:
            self.parts.append(part)
            self.counts.append(cost)
        self.total += cost

    def free(self, cost: int, amount: int, period_s: int, now: float) -> float:
        """How long it is until so much is there, in seconds."""
        total = self.total
        for part, count in zip(self.parts, self.counts, strict=True):
            total -= count
            if total + cost <= amount:
                return (part + PARTS + 1) * period_s / PARTS - now
        return 0.0
