"""The report: a window of a version beside its baseline, as a document."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from contract.showing import cut
from serving.drift.evaluating import Evaluation, Reading
from serving.drift.reference import Kind, Part
from serving.drift.slices import Window

_DAY_S = 86_400
_LONGEST_VALUE = 60


class DriftShare(BaseModel):
    """A share of the rows."""

    then: float = Field(description="of the baseline's rows")
    now: float = Field(description="of the rows in the window")


class DriftBin(BaseModel):
    """One bin of one field."""

    label: str
    expected: float = Field(description="its share of the baseline's rows that have a value")
    count: int = Field(description="rows of the window that are in it")


class DriftField(BaseModel):
    """One input, or one output."""

    name: str
    kind: Kind
    psi: float | None = Field(description="population stability index; none as long as there are not enough rows")
    p_value: float | None = Field(description="how seldom chance alone makes so large a difference")
    alarm: bool = Field(description="whether the p-value is below `alarm_below`, and the index not below `psi_limit`")
    missing: DriftShare
    unseen: DriftShare | None = Field(description="of values that have levels: other ones")
    out_of_range: DriftShare | None = Field(
        description="of numbers: below the lowest, or above the highest that was seen"
    )
    bins: list[DriftBin]


class DriftDocument(BaseModel):
    """How far the rows that a version answers differ from those it was trained on, and its answers from those then."""

    model: str
    version: int
    window: Window = Field(description="the newest rows, or those of a time")
    state: Literal["waiting", "steady", "drifted"] = Field(description="`waiting` for enough rows to say anything")
    rows: int = Field(description="rows in the window")
    needed: int = Field(description="rows from which on it says something")
    since: datetime | None
    until: datetime | None
    baseline_rows: int
    psi_limit: float
    alarm_below: float = Field(description="the level of the whole window, divided by the number of inputs and outputs")
    fields: list[DriftField] = Field(description="inputs and outputs, those that moved furthest first")


def report(found: Evaluation, window: Window, psi_limit: float) -> DriftDocument:
    """The document of one window."""
    known = {reading.part.name: reading for reading in found.readings}
    parts = found.reference.parts
    fields = [_field(part, found.counts[part.begin : part.end], known.get(part.name)) for part in parts]
    fields.sort(key=lambda field: (not field.alarm, -(field.psi or 0.0)))
    return DriftDocument(
        model=found.key.model,
        version=found.key.version,
        window=window,
        state="drifted" if found.alarms else "steady" if found.readings else "waiting",
        rows=found.rows,
        needed=found.needed,
        since=_moment(found.began),
        until=_moment(found.ended),
        baseline_rows=found.reference.rows,
        psi_limit=psi_limit,
        alarm_below=found.alarm_below,
        fields=fields,
    )


def _field(part: Part, now: Any, reading: Reading | None) -> DriftField:
    then = part.counts.array
    present = max(1, int(then[:-1].sum()))
    return DriftField(
        name=part.name,
        kind=part.kind,
        psi=reading.psi if reading else None,
        p_value=reading.p_value if reading else None,
        alarm=reading.alarm if reading else False,
        missing=_shares(then, now, [-1]),
        unseen=_shares(then, now, [-2]) if part.counts.values else None,
        out_of_range=_shares(then, now, [0, -2]) if part.counts.edges else None,
        bins=[
            DriftBin(label=label, expected=int(before) / present, count=int(count))
            for label, before, count in zip(labels(part), then[:-1], now[:-1], strict=True)
        ],
    )


def _shares(then: Any, now: Any, places: Sequence[int]) -> DriftShare:
    before, after = (float(counts[[*places]].sum() / max(1, counts.sum())) for counts in (then, now))
    return DriftShare(then=before, now=after)


def labels(part: Part) -> list[str]:
    """What the bins of a part are called."""
    counts = part.counts
    if not counts.edges:
        return [
            *(cut(value, _LONGEST_VALUE) or "(empty)" for value in counts.values),
            "others" if counts.values else "all",
        ]
    if counts.by == "moment" and part.field is not None and part.field.type == "date":
        return list(_whole([edge / _DAY_S for edge in counts.edges], _day, "before", "after"))
    if counts.by == "length":
        return list(_whole(counts.edges, lambda number: f"{number} characters", "less than", "more than"))
    if part.field is not None and part.field.type == "integer":
        return list(_whole(counts.edges, str, "less than", "more than"))
    if counts.by == "moment":
        said = [str(np.datetime64(int(edge), "s"))[:16].replace("T", " ") for edge in counts.edges]
        return [f"before {said[0]}", *_between(said), f"after {said[-1]}"]
    digits = 3 - math.floor(math.log10(counts.edges[-1] / 2 - counts.edges[0] / 2 or 1.0))
    said = [f"{round(edge, digits) + 0.0:.12g}" for edge in counts.edges]
    return [f"less than {said[0]}", *_between(said), f"more than {said[-1]}"]


def _between(said: Sequence[str]) -> Iterator[str]:
    for low, high in pairwise(said):
        yield low if low == high else f"{low} to {high}"


def _whole(edges: Sequence[float], spelled: Callable[[int], str], below: str, above: str) -> Iterator[str]:
    """Bins of whole numbers, whose edges lie between these."""
    firsts = [math.ceil(edge) for edge in edges]
    yield f"{below} {spelled(firsts[0])}"
    for first, after in pairwise(firsts):
        yield spelled(first) if after - 1 <= first else f"{spelled(first)} to {spelled(after - 1)}"
    yield f"{above} {spelled(firsts[-1] - 1)}"


def _day(number: int) -> str:
    return str(np.datetime64(number, "D"))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
