"""The fitted models: made once per version of scikit-learn, with rows and the answers by which servers are checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Rows = list[list[float]]

COLUMNS = {
    "iris": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
    "nearest": [f"x{number}" for number in range(16)],
}
SPECIES = ["setosa", "versicolor", "virginica"]
CLASSES: dict[str, list[Any]] = {"iris": SPECIES, "nearest": [0, 1, 2]}


@dataclass(frozen=True)
class Fitted:
    """A fitted model: rows, and what it answers to them."""

    name: str
    folder: Path
    """Where its file lies, `<name>.joblib`."""
    rows: Rows
    labels: list[int]
    """Places in `classes`."""
    probabilities: Rows

    @classmethod
    def read(cls, folder: Path, name: str) -> Fitted:
        """What apps/fit.py wrote."""
        found = json.loads((folder / f"{name}.json").read_text())
        return cls(name, folder, found["rows"], found["labels"], found["probabilities"])

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return COLUMNS[self.name]

    @property
    def classes(self) -> list[Any]:
        """What callers know the classes as, in the order of the probabilities."""
        return CLASSES[self.name]

    def many(self, count: int, start: int) -> Rows:
        """As many rows as asked for, from one of them on, again from the first after the last."""
        return [self.rows[(start + offset) % len(self.rows)] for offset in range(count)]
