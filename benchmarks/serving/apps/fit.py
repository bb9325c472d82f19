"""Fits the two models with the scikit-learn that this environment has: `python fit.py FOLDER`.

`iris.joblib` is the forest, `nearest.joblib` the heavy one. Each comes with rows and what the fitted model answers to
them, by which every server's answers are checked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from centring import CentredModel, Centring  # type: ignore[import-not-found]  # it lies beside this script
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

ROWS = 512
STORED, COLUMNS = 20_000, 16


def iris() -> tuple[Any, Any]:
    """The forest, and rows between the shortest and the longest of each leaf."""
    data = load_iris()
    seen, _, species, _ = train_test_split(data.data, data.target, stratify=data.target, random_state=0)
    model = RandomForestClassifier(n_estimators=100, random_state=0, n_jobs=None).fit(seen, species)
    drawn = np.random.default_rng(1).uniform(data.data.min(axis=0), data.data.max(axis=0), (ROWS, 4))
    return model, drawn.round(1)


def nearest() -> tuple[Any, Any]:
    """Nearest neighbours by brute force: each answer looks at every stored row."""
    random = np.random.default_rng(2)
    stored = random.normal(size=(STORED, COLUMNS)).round(3)
    groups = (stored[:, :2].sum(axis=1) > 0).astype(int) + (stored[:, 2] > 1)
    step = Centring().fit(stored)
    model = KNeighborsClassifier(5, algorithm="brute", n_jobs=1).fit(step.transform(stored), groups)
    return CentredModel(step, model), random.normal(size=(ROWS, COLUMNS)).round(3)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (model, rows) in {"iris": iris(), "nearest": nearest()}.items():
        joblib.dump(model, folder / f"{name}.joblib")
        answers = {
            "rows": rows.tolist(),
            "labels": model.predict(rows).tolist(),
            "probabilities": model.predict_proba(rows).tolist(),
        }
        (folder / f"{name}.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
