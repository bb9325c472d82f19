"""The textbook Flask app: joblib.load, `predict` then `predict_proba`, under gunicorn."""
# mypy: disable-error-code="import-not-found, untyped-decorator"
# Flask is in the app's own environment only

from __future__ import annotations

import os
from typing import Any

import joblib
from flask import Flask, jsonify, request

app = Flask(__name__)
model = joblib.load(os.environ["MODEL"])


@app.route("/predict", methods=["POST"])
def predict() -> Any:
    rows = request.get_json()["rows"]
    labels = model.predict(rows)
    probabilities = model.predict_proba(rows)
    return jsonify({"predictions": labels.tolist(), "probabilities": probabilities.tolist()})
