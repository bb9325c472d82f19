"""Shapes: how each server takes rows and how it says its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.serving.fitted import Fitted, Rows

Answer = tuple[int, list[float] | None]
"""The place of the class, and the probabilities of all classes where the server says them."""


@dataclass(frozen=True)
class Request:
    """A POST of JSON."""

    path: str
    body: str
    key: str = ""
    """Who asks, if anybody wants to know."""

    @property
    def headers(self) -> dict[str, str]:
        """What it says beside its length."""
        return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})


@dataclass(frozen=True)
class Shape:
    """Makes requests of rows, and reads answers."""

    path: str
    many: str
    """The path for a list of rows."""
    document: Callable[[Fitted, Rows], Any]
    answers: Callable[[Fitted, Any], list[Answer]]
    key: str = ""

    def request(self, fitted: Fitted, rows: Rows) -> Request:
        """The request for one row, or for several."""
        path = self.path if len(rows) == 1 else self.many
        body = json.dumps(self.document(fitted, rows), separators=(",", ":"))
        return Request(path.format(model=fitted.name), body, self.key)


def _objects(fitted: Fitted, rows: Rows) -> Any:
    found = [dict(zip(fitted.columns, row, strict=True)) for row in rows]
    return found[0] if len(found) == 1 else found


def _spoken(fitted: Fitted, document: Any) -> list[Answer]:
    """`{"prediction": …, "probabilities": {…}}`, or a list of them."""
    if isinstance(document, dict):
        document = document.get("predictions", [document])
    keys = list(map(str, fitted.classes))
    return [
        ([*fitted.classes].index(one["prediction"]), [one["probabilities"][key] for key in keys]) for one in document
    ]


def _best(shares: list[float]) -> Answer:
    return max(range(len(shares)), key=shares.__getitem__), shares


def _shares(document: list[list[float]]) -> list[Answer]:
    """Probabilities alone: the class is the first of the most probable, as scikit-learn's `predict` has it."""
    return [_best(shares) for shares in document]


def _flat(fitted: Fitted, values: list[float]) -> list[Answer]:
    width = len(fitted.classes)
    return _shares([values[start : start + width] for start in range(0, len(values), width)])


def _tensor(fitted: Fitted, rows: Rows) -> Any:
    data = [value for row in rows for value in row]
    one = {"name": "rows", "shape": [len(rows), len(fitted.columns)], "datatype": "FP64", "data": data}
    return {"inputs": [one], "outputs": [{"name": "predict_proba"}]}


KEY = f"lk_{'0' * 12}_{'0' * 43}"
"""Known to whoever reads this: it opens nothing but the server that is measured with it."""
OURS = Shape("/models/{model}/predict", "/models/{model}/predict", _objects, _spoken)
LOCKED = replace(OURS, key=KEY)
OBJECTS = Shape("/predict", "/predict-many", _objects, _spoken)
FEATURES = Shape(
    "/predict",
    "/predict",
    lambda _, rows: {"features": rows[0]},
    lambda _, document: [(document["prediction"], document["probabilities"])],
)
FLASK = Shape(
    "/predict",
    "/predict",
    lambda _, rows: {"rows": rows},
    lambda _, document: list(zip(document["predictions"], document["probabilities"], strict=True)),
)
MLFLOW = Shape(
    "/invocations",
    "/invocations",
    lambda _, rows: {"inputs": rows},
    lambda _, document: _shares(document["predictions"]),
)
BENTOML = Shape("/predict", "/predict", lambda _, rows: {"rows": rows}, lambda _, document: _shares(document))
LITSERVE = Shape(
    "/predict", "/predict", lambda _, rows: {"rows": rows}, lambda _, document: _shares(document["probabilities"])
)
MLSERVER = Shape(
    "/v2/models/{model}/infer",
    "/v2/models/{model}/infer",
    _tensor,
    lambda fitted, document: _flat(fitted, document["outputs"][0]["data"]),
)
VETIVER = Shape(
    "/predict",
    "/predict",
    lambda fitted, rows: [dict(zip(fitted.columns, row, strict=True)) for row in rows],
    lambda _, document: [(label, None) for label in document["predict"]],
)
