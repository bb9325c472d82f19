"""Asking a version: its file is loaded as a server loads it, and answers rows; those that it cannot answer are named.

What runs code is loaded in a child process only. A row is refused as a request with it would be.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from contract import trying
from contract.answers import Answers, Columns, join
from contract.artifact import Artifact
from contract.child import Child
from contract.errors import ArtifactError, NotComparable, PredictionError, PredictionFailed
from contract.formats import FORMATS
from contract.golden import Model
from contract.limits import Limits
from contract.signature import Field, Signature
from pipeline.exporting.signatures import as_plain
from pipeline.gating.rows import Held

_AT_ONCE = 1_000
_MOST_SEARCHED = 200
"""Of rows that the model itself fails at so many are looked for, one by one in the end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a version says of some rows."""

    rows: tuple[int, ...]
    """Which of the rows it answered."""
    answers: Answers
    refused: dict[str, int]
    """Why it did not answer the others, and how many each."""


def ask(artifact: Artifact, held: Held, limits: Limits) -> Asked:
    """Have a version answer all rows that it can.

    Raises:
        NotComparable: it does not load or prove itself, dies of these rows, or takes too long.
    """
    columns, refused = _as_columns(artifact.manifest.signature, held)
    sound = [i for i in range(len(held.truth)) if i not in refused]
    try:
        model = _load(artifact, limits)
        try:
            answered = list(_answered(model, columns, sound, refused))
        finally:
            if isinstance(model, Child):
                model.close()
    except (ArtifactError, PredictionError, OSError) as error:
        raise NotComparable(f"Version {artifact.folder.name} cannot be asked: {error}") from error
    rows = tuple(i for part, _ in answered for i in part)
    return Asked(rows, join(answers for _, answers in answered), dict(Counter(refused.values())))


def _load(artifact: Artifact, limits: Limits) -> Model:
    name = artifact.manifest.runtime.format
    if FORMATS[name].runs_code:
        return trying.start(artifact, name, limits)[0]
    return FORMATS[name].load(artifact.read(FORMATS[name].file), artifact.manifest)


def refusals(signature: Signature, held: Held) -> dict[int, str]:
    """Which rows would be refused by their values, and why."""
    return _as_columns(signature, held)[1]


def _as_columns(signature: Signature, held: Held) -> tuple[Columns, dict[int, str]]:
    columns: Columns = {}
    refused: dict[int, str] = {}
    for field in signature.inputs:
        series = pd.Series(held.columns[field.name], dtype=object)
        try:
            columns[field.name] = as_plain(series, field)
        except (AttributeError, TypeError, ValueError):
            columns[field.name] = [None] * len(series)
            refused |= dict.fromkeys(range(len(series)), f"'{field.name}' holds no {field.type}")
            continue
        for i, value in enumerate(columns[field.name]):
            if i not in refused and (reason := _refusal(value, field)):
                refused[i] = f"'{field.name}' {reason}"
    return columns, refused


def _refusal(value: Any, field: Field) -> str:
    """Why a request with this value would be refused; empty if it would not."""
    if value is None:
        return "" if field.nullable else "is missing"
    if not _FITS[field.type](value):
        return f"holds no {field.type}"
    if field.type == "category" and value not in (field.levels or ()):
        return "has a level that the version does not know"
    if field.type == "tensor":
        return "" if _shape(value) == field.shape else "has another shape"
    if field.bounds and not field.bounds[0] <= value <= field.bounds[1]:
        return "lies outside its bounds"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_FITS: dict[str, Callable[[Any], bool]] = {
    "float": _is_number,
    "integer": lambda value: _is_number(value) and value == int(value),
    "boolean": lambda value: isinstance(value, bool),
    "string": _is_text,
    "category": lambda value: isinstance(value, bool | int | float | str),
    "date": _is_text,
    "datetime": _is_text,
    "tensor": lambda value: isinstance(value, list),
}


def _shape(value: Any) -> tuple[int, ...]:
    found = []
    while isinstance(value, list) and value:
        found.append(len(value))
        value = value[0]
    return tuple(found)


def _answered(
    model: Model, columns: Columns, rows: Sequence[int], refused: dict[int, str]
) -> Iterable[tuple[Sequence[int], Answers]]:
    """The answers part by part; a part that fails is halved until the rows are found that it fails at."""
    todo = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)][::-1]
    failures = 0
    while todo:
        part = todo.pop()
        try:
            yield part, model.answer({name: [values[i] for i in part] for name, values in columns.items()})
        except PredictionFailed:
            failures += 1
            if len(part) == 1 or failures > _MOST_SEARCHED:
                refused |= dict.fromkeys(part, "the model fails at it")
            else:
                todo += [part[len(part) // 2 :], part[: len(part) // 2]]
