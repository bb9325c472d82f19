"""The example models, every row of their data sets, and what the models answer: to count in windows, moved or not."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contract.answers import Columns
from contract.formats import joblib
from contract.signature import Field, Signature
from contract.store import Store
from pipeline.exporting import intake, signatures
from serving.drift.counting import Key
from serving.drift.evaluating import Evaluation, evaluate
from serving.drift.reference import Reference, reference
from serving.drift.slices import Slice
from serving.settings import ServeSettings

NOTEBOOKS = Path(__file__).parents[1] / "notebooks" / "training"
FRAMES = {"iris": "flowers", "cardio": "patients", "diabetes": "patients", "churn": "customers", "digits": "images"} | {
    "reviews": "reviews"
}
"""What a notebook calls its rows."""
SETTINGS = ServeSettings()


@dataclass(frozen=True)
class Example:
    """A model, and all rows of its data set."""

    name: str
    reference: Reference
    signature: Signature
    columns: Columns
    values: list[Any]

    @property
    def numeric(self) -> list[Field]:
        """The fields that are numbers."""
        return [field for field in self.signature.inputs if field.type in ("float", "integer")]

    def evaluate(self, columns: Columns, values: list[Any]) -> Evaluation:
        """Hold some rows against the baseline."""
        counts = self.reference.count(columns, values)
        window = Slice(0.0, 1.0, len(values), counts)
        return evaluate(Key(self.name, 1), self.reference, window, SETTINGS)

    def drawn(self, rows: int, rng: np.random.Generator) -> tuple[Columns, list[Any]]:
        """Rows of the data set with their answers, drawn with replacement."""
        places = rng.integers(len(self.values), size=rows).tolist()
        columns: Columns = {name: [column[i] for i in places] for name, column in self.columns.items()}
        return columns, [self.values[i] for i in places]


def example(store: Store, name: str) -> Example:
    """A model of a store."""
    artifact = store.artifact(name)
    fitted = joblib.load(artifact.read(joblib.FILE), artifact.manifest)
    signature = artifact.manifest.signature
    frame = intake.read(rows_of(name), "rows", "image" if name == "digits" else None).frame
    columns = signatures.as_columns(frame[list(signature.names)], signature)
    return Example(name, reference(artifact), signature, columns, fitted.answer(columns).values)


@cache
def rows_of(name: str) -> Any:
    """The rows of a training notebook, whose cells are run until it has them."""
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    with warnings.catch_warnings(action="ignore"):
        for cell in cells:
            if cell["cell_type"] == "code" and FRAMES[name] not in names:
                exec("".join(cell["source"]), names)  # it is ours
    found = names[FRAMES[name]]
    if name == "cardio":
        return found[names["inputs"]] if "inputs" in names else found.drop(columns="disease")
    return found["text"] if name == "reviews" else found.drop(columns="left") if name == "churn" else found


def moved(column: Sequence[Any], field: Field, deviations: float, rng: np.random.Generator) -> list[Any]:
    """Numbers moved up by so many standard deviations, on average: whole ones by whole steps, within their bounds.

    Where there are two values only, as many of the lower become the higher one as the mean needs.
    """
    numbers = pd.Series(column, dtype="float64")
    step = deviations * numbers.std()
    low, high = numbers.min(), numbers.max()
    if numbers.nunique() == 2:
        change = (numbers == low) & (rng.random(len(numbers)) < step / (high - low) / (numbers == low).mean())
        numbers[change] = high
    elif (numbers.dropna() % 1 == 0).all():
        numbers += np.floor(step) + (rng.random(len(numbers)) < step % 1)
    else:
        numbers += step
    if field.bounds:
        numbers = numbers.clip(*field.bounds)
    kind = int if field.type == "integer" else float
    return [None if np.isnan(number) else kind(number) for number in numbers.tolist()]
