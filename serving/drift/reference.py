"""The reference: what a version's rows and answers are held against, its baseline laid out as one row of numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from contract import baseline
from contract.artifact import Artifact
from contract.baseline import Baseline, Counts
from contract.errors import BaselineNotFound
from contract.manifest import Manifest
from contract.signature import Field

MOST_VALUES = 200
"""Of a version whose rows have more values only one row in several is counted, so that none costs more than these."""

Kind = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class Part:
    """One input or output, and where its counts stand among all of them."""

    name: str
    """No other part of the version has it."""
    kind: Kind
    counts: Counts
    begin: int
    end: int
    field: Field | None
    """Of an input."""


class Reference:
    """The counts of one version."""

    def __init__(self, found: Baseline, manifest: Manifest) -> None:
        """Lay out the counts.

        Raises:
            BaselineNotFound: there are none.
        """
        self.rows = found.rows
        self._baseline = found
        self._output = manifest.signature.output
        fields = {field.name: field for field in manifest.signature.inputs}
        parts: list[Part] = []
        for kind, name, counts in _named(found):
            begin = parts[-1].end if parts else 0
            field = fields[name] if kind == "input" else None
            parts.append(Part(name, kind, counts, begin, begin + len(counts.counts) + 1, field))
        if not parts:
            raise BaselineNotFound("Nothing that the version takes or gives can be counted.")
        self.parts = tuple(parts)
        self.size = parts[-1].end
        """How many numbers there are."""
        self.every = -(-sum(map(_values, parts)) // MOST_VALUES)
        """One row in how many is counted."""

    def count(self, columns: Mapping[str, Sequence[Any]], values: Sequence[Any]) -> Any:
        """Count rows and their answers; such arrays can be added."""
        answers = baseline.answered(values, self._output) if self._baseline.outputs else {}
        found = [counts.count(columns[name]) for name, counts in self._baseline.fields.items()]
        found += [counts.count(answers[name]) for name, counts in self._baseline.outputs.items()]
        return np.concatenate(found)

    def spelled(self, numbers: Any) -> str:
        """Counts as JSON: a list by name of the part, the missing last."""
        return json.dumps({part.name: numbers[part.begin : part.end].tolist() for part in self.parts})

    def read(self, text: str) -> Any:
        """The counts that were spelled so; None where they are of something else."""
        try:
            found = json.loads(text)
            numbers = np.array([number for part in self.parts for number in found[part.name]], dtype=np.int64)
        except (ValueError, TypeError, KeyError, OverflowError):
            return None
        return numbers if numbers.shape == (self.size,) and (numbers >= 0).all() else None


def reference(artifact: Artifact) -> Reference:
    """The reference of a version.

    Raises:
        BaselineNotFound: it has none; the message says why.
        OSError: the file system failed; another time it may not.
    """
    return Reference(baseline.read(artifact), artifact.manifest)


def _named(found: Baseline) -> list[tuple[Kind, str, Counts]]:
    """The inputs, and the outputs by names that no input has."""
    parts: list[tuple[Kind, str, Counts]] = [("input", name, counts) for name, counts in found.fields.items()]
    for name, counts in found.outputs.items():
        own = name
        while own in found.fields:
            own = f"output {own}"
        parts.append(("output", own, counts))
    return parts


def _values(part: Part) -> int:
    """How many values of a row are looked at."""
    return math.prod(part.field.shape) if part.field and part.counts.by == "mean" else 1
