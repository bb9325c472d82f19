"""The tally: counts requests by version, alias, status and latency, predicted classes, and the fields of warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from contract.signature import Output, as_key
from serving.loading import Served
from serving.metrics import MOST_CLASSES, MOST_FIELDS, OTHER
from serving.observed import STREAMING, Observed, Observer


class Tally(Observer):
    """Counts, in the sheet that versions are given their counts from."""

    def see(self, some: Sequence[Observed]) -> None:
        """Count."""
        seconds: dict[tuple[Served, int, str], list[float]] = {}
        rows: Counter[tuple[Served, int, str]] = Counter()
        predicted: dict[Served, list[Any]] = {}
        warned: dict[Served, list[str]] = {}
        for one in some:
            served, reply = one.served, one.reply
            if one.status != STREAMING:
                key = served, one.status, one.alias
                seconds.setdefault(key, []).append(one.seconds)
                rows[key] += one.rows
            if reply is not None:
                predicted.setdefault(served, []).extend(reply.answers.values)
                for warnings in reply.unlike.values():
                    warned.setdefault(served, []).extend(warning["field"] for warning in warnings)
        for key, times in seconds.items():
            served, status, alias = key
            served.counts.requests(status, times, rows[key], alias)
        for served, values in predicted.items():
            output = served.manifest.signature.output
            if output.classes:
                _count(served.counts.predictions, _classes(values, output), map(as_key, output.classes), MOST_CLASSES)
        for served, names in warned.items():
            signature = served.manifest.signature
            _count(served.counts.warnings, Counter(names), signature.names, MOST_FIELDS)


def _classes(values: Sequence[Any], output: Output) -> dict[str, int]:
    several = output.task == "multilabel" or output.width is not None
    classes = Counter(chain.from_iterable(values) if several else values)
    return {as_key(value): number for value, number in classes.items()}


def _count(counts: Counter[str], found: Mapping[str, int], known: Iterable[str], most: int) -> None:
    """Add to counts; where more names are known than are told apart, the first ones keep theirs."""
    names = [*known]
    kept = {*names[:most]} if len(names) > most else None
    for name, number in found.items():
        counts[name if kept is None or name in kept else OTHER] += number
