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
        for limit, who, cost in asks:
            amount, period_s, _ = limit.rule
            part = int(now * PARTS / period_s)
            window = self._window(limit, who, part)
            if window.parts[-1] != part:
                window.turn(part)
            if window.total + cost > amount:
                return Refused(limit, amount - window.total, window.free(min(cost, amount), amount, period_s, now))
            found.append((window, cost))
        for window, cost in found:
            window.counts[-1] += cost
            window.total += cost
        return None

    def _window(self, limit: Limit, who: str, part: int) -> _Window:
        table = self._tables.get(limit)
        if table is None:
            table = self._tables[limit] = OrderedDict()
        window = table.get(who)
        if window is None:
            window = table[who] = _Window(part)
            if len(table) > self._most:
                table.popitem(last=False)
        else:
            table.move_to_end(who)
        return window


class _Window:
    """What one caller has had of one limit."""

    __slots__ = ("counts", "parts", "total")

    def __init__(self, part: int) -> None:
        self.total = 0
        self.parts = [part]
        """The numbers of the parts in which anything was asked for, the oldest first."""
        self.counts = [0]
        """What was had in each of them."""

    def turn(self, part: int) -> None:
        """Begin to count in another part, and forget those that are over."""
        self.parts.append(part)
        self.counts.append(0)
        while self.parts[0] < part - PARTS:
            del self.parts[0]
            self.total -= self.counts.pop(0)

    def free(self, cost: int, amount: int, period_s: int, now: float) -> float:
        """How long it is until so much is there, in seconds."""
        total, wait_s = self.total, 0.0
        for part, count in zip(self.parts, self.counts, strict=True):
            if total + cost <= amount:
                break
            total -= count
            wait_s = (part + PARTS + 1) * period_s / PARTS - now
        return wait_s
