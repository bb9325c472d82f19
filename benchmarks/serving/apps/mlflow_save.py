"""Saves the forest in MLflow's format, to answer probabilities: `python mlflow_save.py MODEL FOLDER`."""
# mypy: disable-error-code="import-not-found"
# MLflow is in the app's own environment only

from __future__ import annotations

import sys

import joblib
import mlflow.sklearn

mlflow.sklearn.save_model(
    joblib.load(sys.argv[1]), sys.argv[2], pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle"
)
