"""Metrics: what a process has counted of each version's requests, and how Prometheus reads it.

Counting is a few additions on the event loop; what Prometheus reads is made when it asks. The counts of a version stay
when the version goes, and those of a worker when the worker does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

from pydantic import TypeAdapter

from serving.agreement import Agreements

BOUNDS_S = (50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""The upper ends of the latency histogram, in seconds."""


_bucket = partial(bisect_left, BOUNDS_S)


@dataclass(slots=True)
class Counts:
    """What was counted of one version."""

    statuses: dict[int, int] = field(default_factory=lambda: dict.fromkeys((0, 2, 4, 5), 0))
    """Requests by the class of their status: 2, 4 or 5; 0 where the caller was gone before."""
    rows: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    """Requests by latency: up to each bound, and above the last."""
    predictions: Counter[str] = field(default_factory=Counter)
    """Rows by predicted class."""
    warnings: Counter[str] = field(default_factory=Counter)
    """Warnings by field."""

    def requests(self, status: int, seconds: Sequence[float], rows: int) -> None:
        """Count requests of one class of status, by how many seconds they took, and the rows they brought."""
        self.statuses[status // 100] += len(seconds)
        self.rows += rows
        self.seconds += sum(seconds)
        for bucket, number in Counter(map(_bucket, seconds)).items():
            self.buckets[bucket] += number

    def add(self, other: Counts) -> None:
        """Take in what another process counted of the same version."""
        self.rows += other.rows
        self.seconds += other.seconds
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.statuses = {status: self.statuses[status] + number for status, number in other.statuses.items()}
        self.predictions.update(other.predictions)
        self.warnings.update(other.warnings)


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
class Sheet:
    """All counts of one process."""

    versions: dict[str, dict[int, Counts]] = field(default_factory=dict)
    """By model and version."""
    dropped: int = 0
    """Rows that were answered but not observed, because the queue was full."""
    agreements: Agreements = field(default_factory=Agreements)
    """What challengers answered to copies."""
    log: LogCounts = field(default_factory=LogCounts)

    def of(self, model: str, version: int) -> Counts:
        """The counts of one version, from now on there."""
        return self.versions.setdefault(model, {}).setdefault(version, Counts())

    def add(self, other: Sheet) -> None:
        """Take in what another process counted."""
        self.dropped += other.dropped
        for model, versions in other.versions.items():
            for version, counts in versions.items():
                self.of(model, version).add(counts)
        self.agreements.add(other.agreements)
        self.log.add(other.log)


SHEET = TypeAdapter(Sheet)
"""Reads and writes a sheet as JSON."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is live of a model, in this process."""

    answering: Mapping[str, int]
    """Versions by alias."""
    failed: Mapping[str, int]
    """How many versions are not served, by the code of the reason."""
    damaged: int = 0
    """Promotions that cannot be read."""


def exposition(sheets: Iterable[Sheet], standing: Mapping[str, Standing], accept: str) -> tuple[bytes, str]:
    """What Prometheus reads, and its content type: all workers' counts together, and what is live of each model."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    total = Sheet()
    for sheet in sheets:
        total.add(sheet)
    registry = CollectorRegistry()
    registry.register(_Collector(total, standing))  # type: ignore[arg-type]  # it only needs `collect`
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Collector:
    """The families of one answer to Prometheus."""

    def __init__(self, total: Sheet, standing: Mapping[str, Standing]) -> None:
        self.total = total
        self.standing = standing

    def collect(self) -> Iterator[object]:
        """The families, as prometheus-client takes them."""
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        labels = ["model", "version"]
        requests = CounterMetricFamily(
            "lectern_requests", "Prediction requests by class of status.", labels=[*labels, "status"]
        )
        rows = CounterMetricFamily("lectern_rows", "Rows answered.", labels=labels)
        seconds = HistogramMetricFamily(
            "lectern_request_seconds", "Time from a request's head to its answer.", labels=labels
        )
        predictions = CounterMetricFamily(
            "lectern_predictions", "Rows by predicted class.", labels=[*labels, "prediction"]
        )
        warnings = CounterMetricFamily(
            "lectern_warnings", "Rows unlike all that the model saw, by field.", labels=[*labels, "field"]
        )
        for model, versions in sorted(self.total.versions.items()):
            for version, counts in sorted(versions.items()):
                key = [model, str(version)]
                for status, number in sorted(counts.statuses.items()):
                    requests.add_metric([*key, f"{status}xx" if status else "gone"], number)
                rows.add_metric(key, counts.rows)
                bounds = [*map(str, BOUNDS_S), "+Inf"]
                seconds.add_metric(key, list(zip(bounds, accumulate(counts.buckets), strict=True)), counts.seconds)
                for name, number in sorted(counts.predictions.items()):
                    predictions.add_metric([*key, name], number)
                for name, number in sorted(counts.warnings.items()):
                    warnings.add_metric([*key, name], number)
        yield from self._agreements()
        yield from self._standing()
        dropped = CounterMetricFamily(
            "lectern_unobserved_rows",
            "Rows answered but not observed, as the queue was full.",
            value=self.total.dropped,
        )
        yield from (requests, rows, seconds, predictions, warnings, dropped)

    def _agreements(self) -> Iterator[object]:
        from prometheus_client.core import CounterMetricFamily

        labels = ["model", "champion", "challenger"]
        rows = CounterMetricFamily(
            "lectern_shadow_rows", "Rows by what became of their copies.", labels=[*labels, "outcome"]
        )
        difference = CounterMetricFamily(
            "lectern_shadow_difference", "Sum of how far the challenger's numbers were away.", labels=labels
        )
        seconds = CounterMetricFamily("lectern_shadow_seconds", "Time the challenger took.", labels=labels)
        for _, one in sorted(self.total.agreements.pairs.items()):
            key = [one.model, str(one.champion), str(one.challenger)]
            outcomes = {"agree": one.agreeing, "differ": one.rows - one.agreeing}
            for outcome, number in (outcomes | {"failed": one.failed, "left_out": one.left_out}).items():
                rows.add_metric([*key, outcome], number)
            difference.add_metric(key, one.difference)
            seconds.add_metric(key, one.seconds)
        yield from (rows, difference, seconds)

    def _standing(self) -> Iterator[object]:
        from prometheus_client.core import GaugeMetricFamily

        alias = GaugeMetricFamily(
            "lectern_alias_version", "The version that answers for an alias.", labels=["model", "alias"]
        )
        failed = GaugeMetricFamily(
            "lectern_versions_failed", "Versions that are not served, by why.", labels=["model", "code"]
        )
        damaged = GaugeMetricFamily("lectern_promotions_damaged", "Promotions that cannot be read.", labels=["model"])
        for model, standing in sorted(self.standing.items()):
            for name, version in sorted(standing.answering.items()):
                alias.add_metric([model, name], version)
            for code, number in sorted(standing.failed.items()):
                failed.add_metric([model, code], number)
            damaged.add_metric([model], standing.damaged)
        yield from (alias, failed, damaged)
