"""Versions of one model that a gate has to tell apart, made once per test run and copied to where they are needed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from contract.artifact import Artifact
from contract.limits import Limits
from contract.staging import Stage
from contract.store import Store
from pipeline import export
from pipeline.exporting import evaluation

MODEL = "flower"
LIMITS = Limits(load_timeout_s=60, answer_timeout_s=60)
_rng = np.random.default_rng(0)
ROWS = pd.DataFrame({"length": _rng.uniform(0, 10, 160).round(2), "width": _rng.uniform(0, 4, 160).round(2)})
ROWS["colour"] = pd.Categorical(np.resize(["red", "green", "red", "green", "blue"], 160))
KIND = pd.Series(np.where(ROWS["length"] > 5, "tall", "low"))
HELD = ROWS.index[100:]
NUMBERS = ["length", "width"]


class Moody:
    """Answers the length, and fails at blue."""

    def predict(self, rows: Any) -> Any:
        """One number a row."""
        if (rows["colour"] == "blue").any():
            raise ValueError("blue")
        return rows["length"].to_numpy()


def _tree(rows: pd.DataFrame) -> Any:
    return DecisionTreeClassifier(max_depth=1, random_state=0).fit(rows, KIND[rows.index])


def _by_colour(rows: pd.DataFrame) -> Any:
    encode = OneHotEncoder(sparse_output=False, handle_unknown="error")
    return make_pipeline(encode, DecisionTreeClassifier(max_depth=3)).fit(rows, KIND[rows.index])


_NOT_BLUE = ROWS.index[ROWS["colour"] != "blue"]
_NARROW = ROWS.loc[_NOT_BLUE, ["colour"]].astype({"colour": pd.CategoricalDtype(["green", "red"])})
_PLAIN = ROWS.loc[_NOT_BLUE, ["length", "colour"]].astype({"colour": str})
_TWO, _HELD_TWO = ROWS[NUMBERS], ROWS.loc[HELD, NUMBERS]
_ALWAYS_TALL = DummyClassifier(strategy="constant", constant="tall")
_EXPORTED: dict[str, Callable[[], dict[str, Any]]] = {
    "good": lambda: _given(_tree(_TWO), _HELD_TWO, KIND[HELD], bounds={"length": (0, 10)}),
    "bad": lambda: _given(_ALWAYS_TALL.fit(_TWO, KIND), _HELD_TWO, KIND[HELD]),
    "short": lambda: _given(_tree(ROWS[["length"]]), ROWS.loc[HELD, ["length"]], KIND[HELD]),
    "narrow": lambda: _given(_by_colour(_NARROW), _NARROW, KIND[_NOT_BLUE]),
    "wide": lambda: _given(_by_colour(ROWS[["colour"]]), ROWS.loc[HELD, ["colour"]], KIND[HELD]),
    "moody": lambda: _given(Moody(), _PLAIN, ROWS["length"][_NOT_BLUE]),
}
"""What `export` is given for each version that answers."""

_RENAMED = {"classes": ("a", "b")}
_NUMBER = {"task": "regression", "labels": (), "classes": (), "scores": ""}
_DERIVED: dict[str, tuple[set[str], dict[str, float] | None, dict[str, Any]]] = {
    "blind": ({evaluation.FILE}, {}, {}),
    "discreet": ({evaluation.FILE}, None, {}),
    "renamed": (set(), None, _RENAMED),
    "number": (set(), {"r2": 1.0}, _NUMBER),
    "scaler": ({evaluation.FILE}, {}, _NUMBER | {"task": "transform"}),
}
"""Copies of the good one: without which files, with what metrics, with which output. Only their manifests are read."""


def _given(model: Any, inputs: Any, targets: Any = None, **more: Any) -> dict[str, Any]:
    return {"model": model, "inputs": inputs, "targets": targets, **more}


@dataclass(frozen=True)
class Zoo:
    """The versions by what is particular about them."""

    store: Store

    @classmethod
    def make(cls, root: Path) -> Zoo:
        """Make the versions; the settings have to name `root` as the store."""
        for given in _EXPORTED.values():
            export(name=MODEL, promote="never", **given())
        zoo = cls(Store(root))
        for without, metrics, output in _DERIVED.values():
            stage, manifest = zoo.stage("good", zoo.store), zoo["good"].manifest
            for name in without:
                stage.path(name).unlink()
            signature = manifest.signature
            signature = signature.model_copy(update={"output": signature.output.model_copy(update=output)})
            measured = manifest.metrics if metrics is None else metrics
            stage.seal(manifest.model_copy(update={"metrics": measured, "signature": signature}))
            zoo.store.publish(stage)
        return zoo

    def __getitem__(self, name: str) -> Artifact:
        return self.store.artifact(MODEL, [*_EXPORTED, *_DERIVED].index(name) + 1)

    def put(self, name: str, store: Store, number: int) -> Artifact:
        """Copy a version into another store, as one that was published and about which nothing was decided."""
        target = store.root / MODEL / str(number)
        shutil.copytree(self[name].folder, target)
        return Artifact(target)

    def stage(self, name: str, store: Store) -> Stage:
        """Stage a version in another store."""
        stage = store.stage()
        shutil.copytree(self[name].folder, stage.folder, dirs_exist_ok=True)
        return stage
