"""Exports a model as the last cell of a notebook does: `python lectern_export.py FOLDER iris|nearest`, in our .venv."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_iris

from pipeline import export

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SPECIES = ["setosa", "versicolor", "virginica"]


def iris(folder: Path) -> None:
    data = load_iris()
    export(joblib.load(folder / "iris.joblib"), "iris", data.data, data.target, columns=COLUMNS, classes=SPECIES)


def nearest(folder: Path) -> None:
    """The model and, before it, a step whose class stands in `__main__` as a notebook's does."""
    heavy = joblib.load(folder / "nearest.joblib")
    answered = json.loads((folder / "nearest.json").read_text())
    own: Any = runpy.run_path(str(Path(__file__).with_name("centring.py")), run_name="__main__")
    step = own["Centring"]()
    step.mean = heavy.step.mean
    export([step, heavy.model], "nearest", np.array(answered["rows"]), np.array(answered["labels"]))


if __name__ == "__main__":
    {"iris": iris, "nearest": nearest}[sys.argv[2]](Path(sys.argv[1]))
