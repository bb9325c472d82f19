"""A step of one's own before a model, as a notebook defines one: no converter knows it, so its model stays Python."""

from __future__ import annotations

from typing import Any

import numpy as np


class Centring:
    """Takes the mean of what it was fitted on from each column."""

    def __init__(self) -> None:
        self.mean: Any = None

    def fit(self, rows: Any, _: Any = None) -> Centring:
        self.mean = np.mean(rows, axis=0)
        return self

    def transform(self, rows: Any) -> Any:
        return np.asarray(rows, dtype=float) - self.mean


class CentredModel:
    """A model behind that step."""

    def __init__(self, step: Centring, model: Any) -> None:
        self.step = step
        self.model = model
        self.classes_ = model.classes_

    def predict(self, rows: Any) -> Any:
        return self.model.predict(self.step.transform(rows))

    def predict_proba(self, rows: Any) -> Any:
        return self.model.predict_proba(self.step.transform(rows))
