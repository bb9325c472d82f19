"""The leaderboard of a sweep: its runs in the order of one metric, the best first."""

from __future__ import annotations

from typing import Any

from contract.metric_names import PRIMARY
from pipeline.running.records import RunRecord

_LOW_IS_GOOD = {"mae", "mse", "rmse", "mape", "smape", "rmsle", "log_loss", "brier", "perplexity"}
_LOW_ENDINGS = ("_loss", "_error", "error", "loss")


def is_low_good(metric: str) -> bool:
    """Whether the smallest value of a metric is the best, as its name says."""
    return metric in _LOW_IS_GOOD or metric.endswith(_LOW_ENDINGS)


class Leaderboard:
    """Runs as they come in, compared by `metric`, or by the usual one of their task.

    Among equals, one that is a version already goes first, then the one that was planned first.
    """

    def __init__(self, metric: str | None = None, *, lowest: bool = False) -> None:
        self.metric = metric
        self.planned: dict[str, int] = {}
        """The place of each run among those planned, by digest."""
        self._lowest = lowest
        self.records: list[RunRecord] = []
        self.versions: dict[str, int] = {}
        """The versions that runs made, by run."""

    def add(self, record: RunRecord, version: int | None = None) -> None:
        """Take in a run, and the version that it made."""
        self.records.append(record)
        if version is not None:
            self.versions[record.id] = version
        if self.metric is None and record.metrics:
            self.metric = next((name for name in PRIMARY.values() if name in record.metrics), None)

    def replace(self, old: RunRecord, new: RunRecord) -> None:
        """Put a run in the place of another one."""
        self.records[self.records.index(old)] = new

    @property
    def low_is_good(self) -> bool:
        """Whether the smallest value is the best."""
        return self._lowest or is_low_good(self.metric or "")

    @property
    def best(self) -> RunRecord | None:
        """The run with the best value."""
        ranked = self.ranked()
        return ranked[0] if ranked and self.score(ranked[0]) is not None else None

    def score(self, record: RunRecord) -> float | None:
        """The value that a run is compared by; None if it failed or has no such metric."""
        return record.metrics.get(self.metric or "") if record.status == "completed" else None

    def ranked(self) -> list[RunRecord]:
        """All runs, the best first, those without a value last."""

        def place(record: RunRecord) -> tuple[bool, float, bool, int]:
            score = self.score(record)
            value = (score or 0.0) * (1 if self.low_is_good else -1)
            return score is None, value, record.id not in self.versions, self.planned.get(record.digest, 0)

        return sorted(self.records, key=place)

    @property
    def varied(self) -> list[str]:
        """The parameters that are not the same in all runs."""
        names = dict.fromkeys(name for record in self.records for name in record.parameters)
        return [name for name in names if len({repr(record.parameters.get(name)) for record in self.records}) > 1]

    def rows(self) -> list[dict[str, Any]]:
        """One row a run: its place, its value, what it was given, what came of it."""
        rows: list[dict[str, Any]] = []
        for number, record in enumerate(self.ranked(), 1):
            score = self.score(record)
            rows.append(
                {
                    "rank": None if score is None else number,
                    "run": record.id,
                    "status": record.status,
                    "version": self.versions.get(record.id),
                    str(self.metric or "metric"): score,
                    **{name: record.parameters.get(name) for name in self.varied},
                    "duration_s": record.duration_s,
                    "error": record.error,
                }
            )
        return rows
