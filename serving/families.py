"""Families: a metric with all its samples, as prometheus-client takes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

Samples = Iterable[tuple[Sequence[str], float]]
"""The values of the labels, and the number."""


def counter(name: str, what: str, labels: Sequence[str], samples: Samples) -> CounterMetricFamily:
    """What only grows."""
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, what, labels=labels)
    for key, value in samples:
        family.add_metric(key, value)
    return family


def gauge(name: str, what: str, labels: Sequence[str], samples: Samples) -> GaugeMetricFamily:
    """What is so at the moment."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, what, labels=labels)
    for key, value in samples:
        family.add_metric(key, value)
    return family


def histogram(
    name: str,
    what: str,
    labels: Sequence[str],
    bounds: Sequence[float],
    samples: Iterable[tuple[Sequence[str], Sequence[int], float]],
) -> HistogramMetricFamily:
    """What falls into buckets: how many up to each bound, and above the last; and the sum of all."""
    from prometheus_client.core import HistogramMetricFamily

    ends = [*map(str, bounds), "+Inf"]
    family = HistogramMetricFamily(name, what, labels=labels)
    for key, buckets, total in samples:
        family.add_metric(key, list(zip(ends, accumulate(buckets), strict=True)), total)
    return family
