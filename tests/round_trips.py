"""Round trips: a model as a notebook has it, and what its API has to say of rows it was not fitted on."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pytest

from contract.answers import Answers
from contract.formats import FORMATS
from contract.store import Store
from pipeline import export
from tests.live import Service, running, until

LEARNED, HELD = slice(0, 60), slice(60, 90)
_rng = np.random.default_rng(7)


@dataclass
class Case:
    """What is exported, with which rows and arguments, and what callers are to get for each row."""

    given: Any
    rows: Any
    expected: list[dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    sent: list[dict[str, Any]] | None = None
    runs_as: str | None = None


Make = Callable[[], Case]


# --- data


def numbers(rows: int = 90) -> pd.DataFrame:
    """Three numbers and a count."""
    found = pd.DataFrame(_rng.normal(size=(rows, 3)) * [3, 1, 20] + [0, 5, 100], columns=["a", "b", "c"])
    return found.assign(k=_rng.integers(0, 9, rows))


NUMBERS = numbers()
TARGET = (NUMBERS.a * 2 - NUMBERS.b + NUMBERS.c / 10 + NUMBERS.k * 0.3).rename("target")
YES = (TARGET.median() < TARGET).astype(int)
LABELS = pd.Series(np.select([TARGET.quantile(0.3) > TARGET, TARGET.quantile(0.7) > TARGET], ["low", "mid"], "high"))
SEVERAL = pd.DataFrame({"up": TARGET > 9, "wide": NUMBERS.b > 5, "odd": NUMBERS.k % 2 == 1}).astype(int)
TARGETS = pd.DataFrame({"mean": TARGET, "twice": TARGET * 2 + NUMBERS.a})
MIXED = NUMBERS.assign(
    colour=_rng.choice(["red", "blue", "größer"], 90),
    size=pd.Categorical(_rng.choice(["s", "m", "l"], 90), categories=["s", "m", "l"], ordered=True),
    flag=_rng.random(90) < 0.5,
    gaps=NUMBERS.b.where(_rng.random(90) < 0.8),
    count=pd.Series(_rng.integers(0, 5, 90), dtype="Int64").where(_rng.random(90) < 0.9),
)
TEXTS = [" ".join(_rng.choice(["good", "bad", "plain", "Ünder", "it's"], 4)) for _ in range(90)]
TONE = ["sad" if text.count("bad") > text.count("good") else "glad" for text in TEXTS]


# --- what to expect


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.isoformat() if isinstance(value, date) else value


def as_json(rows: Any, columns: Any = None) -> list[dict[str, Any]]:
    """The rows as a caller sends them."""
    if isinstance(rows, pl.DataFrame):
        return list(rows.to_dicts())
    if isinstance(rows, pd.DataFrame):
        return [{str(name): plain(rows[name].iloc[i]) for name in rows.columns} for i in range(len(rows))]
    if isinstance(rows, pd.Series):
        return [{"text" if rows.name is None else str(rows.name): plain(value)} for value in rows]
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    if isinstance(rows[0], dict):
        return list(rows)
    if np.ndim(rows) == 1:
        return [{columns or "text": plain(value)} for value in rows]
    if np.ndim(rows) > 2 or isinstance(columns, str) or len(rows[0]) > 256:
        return [{columns or "x": plain(row)} for row in rows]
    names = columns or [f"x{i}" for i in range(len(rows[0]))]
    return [dict(zip(names, plain(row), strict=True)) for row in rows]


def predictions(values: Any) -> list[dict[str, Any]]:
    """Answers that are nothing but values."""
    return [{"prediction": value} for value in plain(np.asarray(values))]


def with_shares(values: Any, shares: Any, classes: Any) -> list[dict[str, Any]]:
    """Classes with the probability of each."""
    keys = [str(name).lower() if isinstance(name, bool) else str(name) for name in plain(list(classes))]
    found = []
    for value, row in zip(plain(list(values)), plain(list(shares)), strict=True):
        each = dict(zip(keys, row, strict=True))
        key = str(value).lower() if isinstance(value, bool) else str(value)
        found.append({"prediction": value, "confidence": each[key], "probabilities": each})
    return found


def with_scores(values: Any, scores: Any, classes: Any) -> list[dict[str, Any]]:
    """Classes with decision values."""
    if np.ndim(scores) == 1:
        pairs = zip(plain(list(values)), plain(list(scores)), strict=True)
        return [{"prediction": value, "score": score} for value, score in pairs]
    return [
        {"prediction": value, "scores": dict(zip(map(str, plain(list(classes))), row, strict=True))}
        for value, row in zip(plain(list(values)), plain(list(scores)), strict=True)
    ]


def classifier(model: Any, rows: Any, labels: Any, **options: Any) -> Case:
    """A classifier with probabilities, fitted on the first rows."""
    return fitted_classifier(model.fit(rows[LEARNED], labels[LEARNED]), rows[HELD], **options)


def fitted_classifier(model: Any, held: Any, *, runs_as: str | None = None, **options: Any) -> Case:
    """A fitted classifier with probabilities."""
    expected = with_shares(model.predict(held), model.predict_proba(held), model.classes_)
    return Case(model, held, expected, options, as_json(held, options.get("columns")), runs_as)


def decider(model: Any, rows: Any, labels: Any, **more: Any) -> Case:
    """A model with decision values, fitted on the first rows."""
    model = model.fit(rows[LEARNED], *([] if labels is None else [labels[LEARNED]]))
    classes = getattr(model, "classes_", (-1, 1))
    return Case(
        model, rows[HELD], with_scores(model.predict(rows[HELD]), model.decision_function(rows[HELD]), classes), **more
    )


def answerer(model: Any, rows: Any, targets: Any = None, method: str = "predict", **more: Any) -> Case:
    """A model whose answers are values, fitted on the first rows."""
    model = model.fit(rows[LEARNED], *([] if targets is None else [targets[LEARNED]]))
    return Case(model, rows[HELD], predictions(getattr(model, method)(rows[HELD])), **more)


# --- the trip


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Store, Service]]:
    """An empty store, the one that exports go to, and a service that follows it."""
    store = Store(folder / "store")
    store.root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LECTERN_STORE", str(store.root))
        with running(store, poll_s=0.05) as service:
            yield store, service
            assert "Traceback" not in service.complaints


def travel(name: str, make: Make, store: Store, service: Service) -> None:
    """Export a model, and compare what its API says of the rows with what is expected."""
    with warnings.catch_warnings(action="ignore"):  # of the libraries, about fits on so few rows
        case = make()
    sent = as_json(case.rows, case.options.get("columns")) if case.sent is None else case.sent
    made = export(case.given, name, case.rows, **case.options)
    runtime = made.manifest.runtime
    assert case.runs_as in (None, runtime.format), runtime.reason
    tolerance = {"joblib": 1e-6, "onnx": 1e-5}

    path = f"/models/{name}/predict"
    response: Any = until(lambda: _answered(service, sent, path))
    assert response.status_code == 200, response.text[:500]
    answers = [told(document) for document in response.json()["predictions"]]
    assert_same(answers, case.expected, tolerance[runtime.format])
    turned = [dict(reversed(row.items())) for row in reversed(sent)]
    answers = [told(document) for document in service.predict(turned, path).json()["predictions"]]
    assert_same(answers[::-1], case.expected, tolerance[runtime.format])
    for i in (0, 1, len(sent) - 1):
        assert_same([told(service.predict(sent[i], path).json())], case.expected[i : i + 1], tolerance[runtime.format])

    artifact = store.artifact(name)
    for format_name, kind in FORMATS.items():
        if format_name != runtime.format and kind.file in artifact.manifest.files:
            loaded = kind.load(artifact.read(kind.file), artifact.manifest)
            found = loaded.answer({key: [row[key] for row in sent] for key in artifact.manifest.signature.names})
            assert_same(_documents(found, case.expected), case.expected, tolerance[format_name])


def _answered(service: Service, rows: Any, path: str) -> httpx.Response | None:
    """The response, None where the model is not there yet."""
    response = service.predict(rows, path)
    return None if response.status_code == 404 or "ask again in a moment" in response.text else response


def told(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a reply says of the row."""
    known = ("prediction", "confidence", "probabilities", "score", "scores")
    return {key: document[key] for key in known if key in document}


def _documents(found: Answers, like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers in the form of the expected documents."""
    documents = []
    for i, (value, expected) in enumerate(zip(found.values, like, strict=True)):
        keys = expected["prediction"]
        document: dict[str, Any] = {
            "prediction": dict(zip(keys, value, strict=True)) if isinstance(keys, dict) else value
        }
        scores = None if found.scores is None else found.scores[i]
        assert (scores is None) == (not {"probabilities", "scores", "score"} & expected.keys())
        if scores is not None and "score" in expected:
            [document["score"]] = scores
        for key in ("probabilities", "scores"):
            if scores is not None and key in expected:
                document[key] = dict(zip(expected[key], scores, strict=True))
        if "confidence" in expected:
            name = str(value).lower() if isinstance(value, bool) else str(value)
            document["confidence"] = document["probabilities"][name]
        documents.append(document)
    return documents


def assert_same(found: Any, expected: Any, tolerance: float, where: str = "") -> None:
    """Labels are the same and of the same type, numbers differ by no more than the tolerance."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected:
            assert_same(found[key], expected[key], tolerance, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for i, value in enumerate(expected):
            assert_same(found[i], value, tolerance, f"{where}[{i}]")
    elif isinstance(expected, float):
        assert isinstance(found, int | float), where
        assert abs(found - expected) <= tolerance * max(1.0, abs(expected)), f"{where}: {found} instead of {expected}"
    else:
        assert (type(found), found) == (type(expected), expected), where
