"""The report of quality: how good each version of a model was, over time, by what callers said was true."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import from_json

from contract.manifest import Manifest
from contract.metric_names import PRIMARY
from contract.signature import Output, as_key
from serving.quality.keeping import Judged
from serving.quality.scoring import Pair, measure
from serving.quality.truths import Unfit, fitted

MOST_ROWS = 100_000
"""Predictions with their truth that are read for one report, the newest ones."""
MOST_BUCKETS, USUAL_BUCKETS = 200, 24


class Span(BaseModel):
    """The quality of the predictions between two moments."""

    begin: datetime
    end: datetime
    rows: int
    metrics: dict[str, float]


class VersionQuality(BaseModel):
    """The quality of one version."""

    version: int
    rows: int = Field(description="predictions whose truth is known")
    unfit: int = Field(description="predictions whose truth cannot be compared with them, left out of everything else")
    metrics: dict[str, float] = Field(description="by name, as scikit-learn defines them")
    trained: dict[str, float] = Field(description="the same metrics when it was trained, on rows that were held out")
    over_time: list[Span] = Field(description="where there is a truth, the oldest first")


class QualityDocument(BaseModel):
    """How good the versions of a model were."""

    model: str
    rows: int = Field(description=f"predictions that were read, the newest ones, {MOST_ROWS:,} at most")
    complete: bool = Field(description="whether these are all there are in that time")
    metric: str | None = Field(description="the metric that stands for the model")
    begin: datetime | None = Field(description="when the first of them was made")
    end: datetime | None
    versions: list[VersionQuality] = Field(description="the newest first")


class _Seen:
    """The pairs of one version, each with its moment (microseconds since 1970)."""

    def __init__(self, manifest: Manifest) -> None:
        self.output, self.trained = manifest.signature.output, manifest.metrics
        self.moments: list[int] = []
        self.pairs: list[Pair] = []
        self.unfit = 0

    def add(self, row: Judged) -> None:
        """Take in a prediction and its truth."""
        try:
            said, true = (fitted(from_json(text), self.output) for text in (row.prediction, row.truth))
        except (Unfit, ValueError):  # of another form than it was, or cut when it was logged
            self.unfit += 1
            return
        self.moments.append(row.at)
        self.pairs.append(Pair(said, true, _chance(row.scores, true, self.output)))


def report(
    model: str, rows: Iterable[Judged], manifests: Callable[[int], Manifest | None], buckets: int, most: int = MOST_ROWS
) -> QualityDocument:
    """The report on up to `most` predictions with their truth; versions without a manifest are left out."""
    seen: dict[int, _Seen | None] = {}
    number = 0
    for row in rows:
        number += 1
        if row.version not in seen:
            manifest = manifests(row.version)
            seen[row.version] = None if manifest is None else _Seen(manifest)
        if found := seen[row.version]:
            found.add(row)
    versions = {version: seen for version, seen in sorted(seen.items(), reverse=True) if seen}
    moments = [moment for one in versions.values() for moment in one.moments]
    begin, end = (min(moments), max(moments)) if moments else (0, 0)
    newest = next(iter(versions.values()), None)
    return QualityDocument(
        model=model,
        rows=number,
        complete=number < most,
        metric=newest and PRIMARY[newest.output.task],
        begin=_moment(begin) if moments else None,
        end=_moment(end) if moments else None,
        versions=[_version(version, one, begin, end, buckets) for version, one in versions.items()],
    )


def _version(version: int, seen: _Seen, begin: int, end: int, buckets: int) -> VersionQuality:
    metrics = measure(seen.pairs, seen.output)
    width = -(-(end - begin + 1) // buckets)
    by_time: dict[int, list[Pair]] = {}
    for moment, pair in zip(seen.moments, seen.pairs, strict=True):
        by_time.setdefault((moment - begin) // width, []).append(pair)
    return VersionQuality(
        version=version,
        rows=len(seen.pairs),
        unfit=seen.unfit,
        metrics=metrics,
        trained={name: seen.trained[name] for name in metrics if name in seen.trained},
        over_time=[
            Span(
                begin=_moment(begin + place * width),
                end=_moment(begin + (place + 1) * width),
                rows=len(pairs),
                metrics=measure(pairs, seen.output),
            )
            for place, pairs in sorted(by_time.items())
        ],
    )


def _chance(scores: str | None, true: Any, output: Output) -> float | None:
    """The probability that a prediction gave to the class that was true."""
    if scores is None or output.scores != "probabilities" or output.task != "classification":
        return None
    try:
        shares = from_json(scores)
        if len(shares) < len(output.classes):  # the others were not told, and are not in the log
            return None
        return float(shares[as_key(true)] / sum(shares.values()))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):  # it was cut when it was logged
        return None


def _moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
