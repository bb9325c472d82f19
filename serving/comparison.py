"""Comparison: two versions of a model side by side, as their manifests and the gate say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from contract import callers
from contract.artifact import Artifact
from contract.metric_names import better
from contract.promotions import Promotion


class Metric(BaseModel):
    """One metric of both, each on its own held-out rows."""

    metric: str
    first: float | None
    second: float | None
    better: bool | None = Field(description="whether the second version is better; null where nobody can tell")


class Change(BaseModel):
    """What both have of one name."""

    name: str
    first: Any
    second: Any


class Line(BaseModel):
    """One metric of both on the same rows."""

    metric: str
    champion: float | None = None
    candidate: float | None = None
    better: bool | None = None
    rows: str = Field("", description="which slice; empty for all rows")


class Gate(BaseModel):
    """What the gate found when it asked both the same rows: the first as champion, the second as candidate."""

    verdict: str
    reason: str
    metric: str = Field(description="what decided")
    rows: int
    rows_of: str
    table: list[Line]
    notes: list[str] = []


class ComparisonDocument(BaseModel):
    """Two versions of one model."""

    model: str
    first: int
    second: int
    metrics: list[Metric]
    parameters: list[Change] = Field(description="those that differ")
    environment: list[Change] = Field(description="packages that differ")
    callers: list[str] = Field(description="what changes for whoever calls, from the first to the second")
    gate: Gate | None = Field(description="both asked the same rows, where the gate did so")


def compare(model: str, first: Artifact, second: Artifact, entries: list[Promotion]) -> ComparisonDocument:
    """Put two versions side by side; `entries` are the promotions of their model.

    Raises:
        ArtifactError: a manifest cannot be read.
    """
    one, two = first.manifest, second.manifest
    pair = int(first.folder.name), int(second.folder.name)
    return ComparisonDocument(
        model=model,
        first=pair[0],
        second=pair[1],
        metrics=[
            Metric(metric=name, first=was, second=now, better=better(name, was, now))
            for name in dict.fromkeys([*one.metrics, *two.metrics])
            for was, now in [(one.metrics.get(name), two.metrics.get(name))]
        ],
        parameters=_changes(one.parameters, two.parameters),
        environment=_changes(one.environment, two.environment),
        callers=list(callers.changes(one.signature, two.signature)),
        gate=_gate([entry for entry in entries if (entry.before, entry.version) == pair]),
    )


def _gate(entries: list[Promotion]) -> Gate | None:
    for entry in reversed(entries):
        with suppress(ValidationError):  # nothing was compared, or another hand wrote it
            return Gate.model_validate(entry.gate)
    return None


def _changes(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[Change]:
    pairs = ((name, one.get(name), two.get(name)) for name in dict.fromkeys([*one, *two]))
    return [Change(name=name, first=was, second=now) for name, was, now in pairs if was != now]
