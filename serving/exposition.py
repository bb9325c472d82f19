"""Exposition: what Prometheus reads of all counts, made when it asks.

Every label is from a closed set: models, versions, aliases, routes and codes of ours, and what signatures name.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from serving.families import Samples, counter, gauge, histogram
from serving.metrics import BOUNDS_ROWS, BOUNDS_S, CRASH, MEMORY, Counts, Sheet

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

MOST_VERSIONS = 30
"""Versions of a model that are shown beside those that answer for an alias: the newest that did anything."""

Drift = tuple[str, int, str, float, bool]
"""Model, version, field or output, population stability index, and whether it is an alarm."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is live of a model, in this process."""

    answering: Mapping[str, int]
    """Versions by alias."""
    failed: Mapping[str, int]
    """How many versions are not served, by the code of the reason."""
    damaged: int = 0
    """Promotions that cannot be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Exposition:
    """All that one answer to Prometheus is made of."""

    total: Sheet
    """What all workers have counted."""
    standing: Mapping[str, Standing] = field(default_factory=dict)
    drift: Iterable[Drift] = ()

    def write(self, accept: str) -> tuple[bytes, str]:
        """The answer and its content type."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder

        registry = CollectorRegistry()
        registry.register(self)
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    def collect(self) -> Iterator[Metric]:
        """The families, as prometheus-client takes them."""
        shown = self._shown()
        yield from _requests(shown)
        yield from _loading(shown)
        yield from _batches(shown)
        yield from _shadows(self.total)
        yield from _standing(self.standing)
        yield from _drift(self.drift)
        yield from _service(self.total)

    def _shown(self) -> dict[tuple[str, str], Counts]:
        """The counts by model and version, of as many versions as are shown."""
        found = {}
        for model, versions in sorted(self.total.versions.items()):
            live = self.standing[model].answering.values() if model in self.standing else ()
            newest = sorted((number for number in versions if _did_anything(versions[number])), reverse=True)
            for number in sorted({*newest[:MOST_VERSIONS], *live} & versions.keys()):
                found[model, str(number)] = versions[number]
        return found


def _did_anything(counts: Counts) -> bool:
    return bool(counts.aliases or counts.loads or counts.failures)


Shown = Mapping[tuple[str, str], Counts]
_VERSION = ("model", "version")


def _requests(shown: Shown) -> Iterator[Metric]:
    yield counter(
        "lectern_requests",
        "Prediction requests by what answered (no alias: a version that was named), and by class of status.",
        [*_VERSION, "alias", "status"],
        (
            ([*key, alias, f"{status}xx" if status else "gone"], number)
            for key, counts in shown.items()
            for alias, statuses in sorted(counts.aliases.items())
            for status, number in statuses.items()
        ),
    )
    yield counter("lectern_rows", "Rows answered.", _VERSION, ((key, counts.rows) for key, counts in shown.items()))
    yield histogram(
        "lectern_request_seconds",
        "Time from a request's head to its answer.",
        _VERSION,
        BOUNDS_S,
        ((key, counts.buckets, counts.seconds) for key, counts in shown.items() if any(counts.buckets)),
    )
    yield counter(
        "lectern_predictions",
        "Rows by predicted class.",
        [*_VERSION, "prediction"],
        (
            ([*key, name], number)
            for key, counts in shown.items()
            for name, number in sorted(counts.predictions.items())
        ),
    )
    yield counter(
        "lectern_warnings",
        "Rows unlike all that the model saw, by field.",
        [*_VERSION, "field"],
        (([*key, name], number) for key, counts in shown.items() for name, number in sorted(counts.warnings.items())),
    )


def _loading(shown: Shown) -> Iterator[Metric]:
    yield counter("lectern_loads", "Versions loaded.", _VERSION, ((key, counts.loads) for key, counts in shown.items()))
    yield counter(
        "lectern_load_failures",
        "Versions that could not be loaded, by why; each attempt counts.",
        [*_VERSION, "code"],
        (([*key, code], number) for key, counts in shown.items() for code, number in sorted(counts.failures.items())),
    )
    yield counter(
        "lectern_swaps",
        "How often a version began to answer for an alias.",
        _VERSION,
        ((key, counts.swaps) for key, counts in shown.items()),
    )


def _batches(shown: Shown) -> Iterator[Metric]:
    asked = {key: counts.batches for key, counts in shown.items() if any(counts.batches.buckets)}
    yield histogram(
        "lectern_batch_rows",
        "Rows that the process of a model was asked at once.",
        _VERSION,
        BOUNDS_ROWS,
        ((key, batches.buckets, batches.rows) for key, batches in asked.items()),
    )
    yield counter(
        "lectern_child_restarts",
        "How often the process of a model was started again.",
        _VERSION,
        ((key, batches.restarts) for key, batches in asked.items()),
    )
    yield counter(
        "lectern_model_deaths",
        "How often a model died of a request, or had to be stopped, by why.",
        [*_VERSION, "reason"],
        (
            ([*key, reason], number)
            for key, counts in shown.items()
            for reason, number in sorted(counts.batches.deaths.items())
        ),
    )


def _shadows(total: Sheet) -> Iterator[Metric]:
    labels = ("model", "champion", "challenger")
    pairs = [
        ((one.model, str(one.champion), str(one.challenger)), one) for _, one in sorted(total.agreements.pairs.items())
    ]
    outcomes = {
        key: {"agree": one.agreeing, "differ": one.rows - one.agreeing, "failed": one.failed, "left_out": one.left_out}
        for key, one in pairs
    }
    yield counter(
        "lectern_shadow_rows",
        "Rows by what became of their copies.",
        [*labels, "outcome"],
        (([*key, outcome], number) for key, numbers in outcomes.items() for outcome, number in numbers.items()),
    )
    yield counter(
        "lectern_shadow_difference",
        "Sum of how far the challenger's numbers were away.",
        labels,
        ((key, one.difference) for key, one in pairs),
    )
    yield counter(
        "lectern_shadow_seconds", "Time the challenger took.", labels, ((key, one.seconds) for key, one in pairs)
    )


def _standing(standing: Mapping[str, Standing]) -> Iterator[Metric]:
    models = sorted(standing.items())
    yield gauge(
        "lectern_alias_version",
        "The version that answers for an alias.",
        ("model", "alias"),
        (([model, alias], number) for model, found in models for alias, number in sorted(found.answering.items())),
    )
    yield gauge(
        "lectern_versions_failed",
        "Versions that are not served, by why.",
        ("model", "code"),
        (([model, code], number) for model, found in models for code, number in sorted(found.failed.items())),
    )
    yield gauge(
        "lectern_promotions_damaged",
        "Promotions that cannot be read.",
        ("model",),
        (([model], found.damaged) for model, found in models),
    )


def _drift(drift: Iterable[Drift]) -> Iterator[Metric]:
    found = [((model, str(number), name), psi, alarm) for model, number, name, psi, alarm in drift]
    yield gauge(
        "lectern_drift_psi",
        "How far a field or an output is from what the model was trained on: the population stability index.",
        [*_VERSION, "field"],
        ((key, psi) for key, psi, _ in found),
    )
    yield gauge(
        "lectern_drift_alarm",
        "Whether that is too far, and no chance: 1 or 0.",
        [*_VERSION, "field"],
        ((key, alarm) for key, _, alarm in found),
    )


def _service(total: Sheet) -> Iterator[Metric]:
    gauges, log = total.gauges, total.log
    yield gauge("lectern_requests_in_flight", "Requests that a version is at.", _VERSION, _each(gauges.in_flight))
    yield gauge(
        "lectern_requests_waiting", "Requests that wait for the process of a model.", _VERSION, _each(gauges.waiting)
    )
    yield gauge(
        "lectern_version_unhealthy",
        "Workers in which a version has lost its last few requests.",
        _VERSION,
        _each(gauges.unhealthy),
    )
    yield counter(
        "lectern_http_requests",
        "Requests to all other routes, and such as found no version, by class of status.",
        ("method", "route", "status"),
        ((key.split(" "), number) for key, number in sorted(total.routes.items())),
    )
    log_rows = {"stored": log.stored, "dropped": log.dropped + total.dropped, "withheld": log.withheld}
    yield counter(
        "lectern_log_rows",
        "Rows by what became of them in the prediction log.",
        ("outcome",),
        (([outcome], number) for outcome, number in log_rows.items()),
    )
    yield counter(
        "lectern_refused",
        "Requests that were refused for who asked, how often, or how they came, by why.",
        ("reason",),
        (([reason], number) for reason, number in sorted(total.refused.items())),
    )
    yield counter(
        "lectern_worker_deaths",
        "Workers that ended without having been told to, by why.",
        ("reason",),
        (([reason], total.deaths[reason]) for reason in (CRASH, MEMORY)),
    )
    for name, what, number in (
        ("lectern_limits_apart", "Requests counted by a worker alone, as Redis did not answer.", total.counted_apart),
        ("lectern_unobserved_rows", "Rows answered but not observed, as the queue was full.", total.dropped),
        ("lectern_log_lines_dropped", "Lines of the service's own log that nobody read in time.", total.lines_dropped),
    ):
        yield counter(name, what, (), [((), number)])
    for name, what, value in (
        ("lectern_waiting_rows", "Rows answered that wait to be observed.", gauges.unobserved),
        ("lectern_loop_lag_seconds", "How late an event loop was when last looked at.", gauges.lag_s),
        ("lectern_loop_lag_max_seconds", "The same at its worst, of the last minute.", gauges.largest_lag_s),
        ("lectern_counts_damaged", "Files of workers' counts that cannot be read, so that these lack.", total.damaged),
    ):
        yield gauge(name, what, (), [((), value)])
    yield gauge(
        "lectern_build_info",
        "Which Lectern this is.",
        ("version", "python"),
        [((version("lectern"), platform.python_version()), 1)],
    )


def _each(numbers: Mapping[str, Mapping[int, int]]) -> Samples:
    return [
        ((model, str(number)), value)
        for model, found in sorted(numbers.items())
        for number, value in sorted(found.items())
    ]
