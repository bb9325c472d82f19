"""The BentoML service, as its documentation shows it; BATCHING=1 turns adaptive batching on.

One `predict_proba` gives labels and probabilities for the price of `predict`.
"""
# mypy: disable-error-code="import-not-found, untyped-decorator, type-arg"
# BentoML is in the app's own environment only, and reads the bare class of an array

import os

import bentoml
import joblib
import numpy as np

BATCHING = os.environ.get("BATCHING") == "1"


@bentoml.service(workers=1, traffic={"timeout": 60})
class Iris:
    """The forest behind BentoML."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=BATCHING, max_batch_size=4_000, max_latency_ms=60_000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        shares: np.ndarray = self.model.predict_proba(rows)
        return shares
