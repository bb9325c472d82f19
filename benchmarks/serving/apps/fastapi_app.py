"""The textbook FastAPI app: a pydantic model, joblib.load, `predict` then `predict_proba` in a `def` endpoint."""

from __future__ import annotations

import os
from typing import Any

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

SPECIES = ["setosa", "versicolor", "virginica"]
app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Flower(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


class Answer(BaseModel):
    prediction: str
    probabilities: dict[str, float]


def answers(flowers: list[Flower]) -> list[dict[str, Any]]:
    rows = [[f.sepal_length, f.sepal_width, f.petal_length, f.petal_width] for f in flowers]
    labels = model.predict(rows)
    probabilities = model.predict_proba(rows)
    return [
        {"prediction": SPECIES[label], "probabilities": dict(zip(SPECIES, shares, strict=True))}
        for label, shares in zip(labels, probabilities.tolist(), strict=True)
    ]


@app.post("/predict")
def predict(flower: Flower) -> Answer:
    return Answer(**answers([flower])[0])


@app.post("/predict-many")
def predict_many(flowers: list[Flower]) -> list[Answer]:
    return [Answer(**answer) for answer in answers(flowers)]
