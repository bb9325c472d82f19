"""Metrics: what one process has counted, in numbers that can be added up.

Counting is a few additions, and nearly all of them are made off the event loop. The counts of a version stay when the
version goes, and those of a worker when the worker does; its gauges go with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from pydantic import TypeAdapter

from serving.agreement import Agreements

BOUNDS_S = (50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""The upper ends of the latency histogram, in seconds."""
BOUNDS_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""The upper ends of the histogram of batches, in rows."""
MOST_CLASSES = 50
"""Predicted classes that are counted one by one, of each version: the first of its signature."""
MOST_FIELDS = 100
"""Fields whose warnings are, likewise."""
OTHER = "other"
"""What the others are counted as."""

CRASH, MEMORY = "crash", "memory"
"""Why a worker died."""

_bucket = partial(bisect_left, BOUNDS_S)
_STATUSES = (0, 2, 4, 5)


@dataclass(slots=True)
class Batches:
    """What a process that runs a model was asked, and how often it had to be started again."""

    restarts: int = 0
    rows: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_ROWS) + 1))
    """Batches by their rows: up to each bound, and above the last."""
    deaths: Counter[str] = field(default_factory=Counter)
    """How often it died, by why; or that a graph was stopped, as it had not answered by the deadline."""

    def asked(self, rows: int) -> None:
        """Count a batch."""
        self.rows += rows
        self.buckets[bisect_left(BOUNDS_ROWS, rows)] += 1

    def add(self, other: Batches) -> None:
        """Take in what another process counted."""
        self.restarts += other.restarts
        self.deaths.update(other.deaths)
        self.rows += other.rows
        self.buckets = _sums(self.buckets, other.buckets)


@dataclass(slots=True)
class Counts:
    """What was counted of one version."""

    aliases: dict[str, dict[int, int]] = field(default_factory=dict)
    """Requests by the alias that answered (empty: the version was named), and by the class of their status: 2, 4 or
    5; 0 where the caller was gone before."""
    rows: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    """Requests by latency: up to each bound, and above the last."""
    predictions: Counter[str] = field(default_factory=Counter)
    """Rows by predicted class."""
    warnings: Counter[str] = field(default_factory=Counter)
    """Warnings by field."""
    loads: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Loads that failed, by the code of the reason."""
    swaps: int = 0
    """How often it began to answer for an alias."""
    batches: Batches = field(default_factory=Batches)

    @property
    def statuses(self) -> dict[int, int]:
        """Requests by the class of their status, of all aliases."""
        return {status: sum(found[status] for found in self.aliases.values()) for status in _STATUSES}

    def requests(self, status: int, seconds: Sequence[float], rows: int, alias: str = "") -> None:
        """Count requests of one class of status, by how many seconds they took, and the rows they brought."""
        self._of(alias)[status // 100] += len(seconds)
        self.rows += rows
        self.seconds += sum(seconds)
        for bucket, number in Counter(map(_bucket, seconds)).items():
            self.buckets[bucket] += number

    def add(self, other: Counts) -> None:
        """Take in what another process counted of the same version."""
        for alias, statuses in other.aliases.items():
            mine = self._of(alias)
            for status, number in statuses.items():
                mine[status] += number
        self.rows += other.rows
        self.seconds += other.seconds
        self.buckets = _sums(self.buckets, other.buckets)
        self.predictions.update(other.predictions)
        self.warnings.update(other.warnings)
        self.loads += other.loads
        self.failures.update(other.failures)
        self.swaps += other.swaps
        self.batches.add(other.batches)

    def _of(self, alias: str) -> dict[int, int]:
        return self.aliases.setdefault(alias, dict.fromkeys(_STATUSES, 0))


@dataclass(slots=True)
class LogCounts:
    """What became of the rows that were answered, in the prediction log: each is in one of these in the end."""

    stored: int = 0
    """Committed to the database."""
    dropped: int = 0
    """There was no room for them while they waited, or the database refused them."""
    withheld: int = 0
    """Their caller did not want them in it."""

    def add(self, other: LogCounts) -> None:
        """Take in what another process counted."""
        self.stored += other.stored
        self.dropped += other.dropped
        self.withheld += other.withheld


@dataclass(slots=True)
class Gauges:
    """What is so in a process at one moment."""

    in_flight: dict[str, dict[int, int]] = field(default_factory=dict)
    """Requests that a version is at, by model and version."""
    waiting: dict[str, dict[int, int]] = field(default_factory=dict)
    """Requests that wait for the process of a model."""
    unhealthy: dict[str, dict[int, int]] = field(default_factory=dict)
    """1 where a version has lost its last few requests, else 0."""
    unobserved: int = 0
    """Rows that were answered and wait to be observed."""
    lag_s: float = 0.0
    """How late the event loop was when it was last looked at."""
    largest_lag_s: float = 0.0
    """The same at its worst, of the last minute."""

    def add(self, other: Gauges) -> None:
        """Take in what is so in another process: the sum, and of lags the longest."""
        for mine, theirs in (
            (self.in_flight, other.in_flight),
            (self.waiting, other.waiting),
            (self.unhealthy, other.unhealthy),
        ):
            for model, versions in theirs.items():
                found = mine.setdefault(model, {})
                for version, number in versions.items():
                    found[version] = found.get(version, 0) + number
        self.unobserved += other.unobserved
        self.lag_s = max(self.lag_s, other.lag_s)
        self.largest_lag_s = max(self.largest_lag_s, other.largest_lag_s)


@dataclass(slots=True)
class Sheet:
    """All counts of one process."""

    versions: dict[str, dict[int, Counts]] = field(default_factory=dict)
    """By model and version."""
    dropped: int = 0
    """Rows that were answered but not observed, because the queue was full."""
    agreements: Agreements = field(default_factory=Agreements)
    """What challengers answered to copies."""
    log: LogCounts = field(default_factory=LogCounts)
    routes: Counter[str] = field(default_factory=Counter)
    """Requests to all paths but those that predict, by method, route and class of status, as `GET /metrics 2xx`."""
    refused: Counter[str] = field(default_factory=Counter)
    """Requests that were refused for who asked, how often, or how they came, by the reason."""
    counted_apart: int = 0
    """Requests that a worker counted for limits by itself, as Redis could not be asked."""
    lines_dropped: int = 0
    """Lines of the log that nobody read in time."""
    deaths: Counter[str] = field(default_factory=Counter)
    """Workers that ended without having been told to, by why."""
    damaged: int = 0
    """Files of counts that could not be read."""
    gauges: Gauges = field(default_factory=Gauges)
    ended: bool = False
    """Whether the process has counted to its end."""
    kills: int = 0
    """How many processes the system had ended by then, as there was no memory left."""

    def of(self, model: str, version: int) -> Counts:
        """The counts of one version, from now on there."""
        return self.versions.setdefault(model, {}).setdefault(version, Counts())

    def add(self, other: Sheet) -> None:
        """Take in what another process counted."""
        for model, versions in other.versions.items():
            for version, counts in versions.items():
                self.of(model, version).add(counts)
        self.dropped += other.dropped
        self.agreements.add(other.agreements)
        self.log.add(other.log)
        self.routes.update(other.routes)
        self.refused.update(other.refused)
        self.counted_apart += other.counted_apart
        self.lines_dropped += other.lines_dropped
        self.deaths.update(other.deaths)
        self.damaged += other.damaged
        self.gauges.add(other.gauges)


SHEET = TypeAdapter(Sheet)
"""Reads and writes a sheet as JSON."""


def _sums(some: Sequence[int], others: Sequence[int]) -> list[int]:
    return [one + other for one, other in zip(some, others, strict=True)]
