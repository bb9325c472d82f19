"""The textbook FastAPI app for the heavy model, whose class is imported: what joblib.load needs."""

from __future__ import annotations

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Row(BaseModel):
    features: list[float]


class Answer(BaseModel):
    prediction: int
    probabilities: list[float]


@app.post("/predict")
def predict(row: Row) -> Answer:
    label = model.predict([row.features])[0]
    probabilities = model.predict_proba([row.features])[0]
    return Answer(prediction=int(label), probabilities=probabilities.tolist())
