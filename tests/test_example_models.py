"""The example models beyond iris and cardio, trained by runs and served: numbers, an image, a table, a text."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error

from contract.formats import joblib
from contract.formats.chain import Chain
from contract.store import Store
from pipeline.exporting.evaluation import FILE, TRUTH
from serving.problems import ProblemDocument
from tests.conftest import trained_once
from tests.live import Service, running

NAMES = ("churn", "diabetes", "digits", "reviews")
FORMATS = {"churn": "joblib", "diabetes": "onnx", "digits": "joblib", "reviews": "joblib"}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The models, trained once per test run; to be read, not written."""
    return trained_once(tmp_path_factory, "example-models", NAMES)


@pytest.fixture(scope="module")
def service(trained: Store) -> Iterator[Service]:
    with running(trained) as service:
        yield service
        assert "Traceback" not in service.complaints


@pytest.fixture(scope="module")
def document(service: Service) -> Any:
    return service.get("/openapi.json")


# --- the answers are the fitted object's


def held_out(store: Store, name: str) -> tuple[pd.DataFrame, list[Any]]:
    """The rows that were held out, in the columns of the notebook, and their truth."""
    rows = pd.read_parquet(store.artifact(name).folder / FILE)
    return rows.drop(columns=TRUTH), rows[TRUTH].tolist()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as a caller would write them in JSON."""
    return [{str(field): _plain(value) for field, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    match value:
        case pd.Timestamp():
            return value.strftime("%Y-%m-%d")
        case np.ndarray():
            return [_plain(element) for element in value]
        case float() if np.isnan(value):
            return None
    return value


def said_by(name: str, chain: Chain, frame: pd.DataFrame) -> tuple[list[Any], Any]:
    """What the fitted object itself says: its answers, as callers know them, and its probabilities."""
    match name, chain.before, chain.model:
        case "diabetes", (), pipeline:
            return pipeline.predict(frame).tolist(), None
        case "digits", (flatten, scaler), model:
            images = np.array([np.stack(image) for image in frame["image"]])
            assert images.shape == (len(frame), 8, 8)
            shares = model.predict_proba(scaler.transform(flatten(images)))
            return shares.argmax(axis=1).tolist(), shares
        case "churn", (prepare, encoder), model:
            shares = model.predict_proba(encoder.transform(prepare(frame)))
            return ["leaves" if share >= 0.2 else "stays" for share in shares[:, 1]], shares
        case "reviews", (vectorizer,), model:
            shares = model.predict_proba(vectorizer.transform(frame["text"]))
            return [("displeased", "pleased")[place] for place in shares.argmax(axis=1)], shares
    pytest.fail(f"{name} has other steps: {chain.steps}")


@pytest.mark.parametrize("name", NAMES)
def test_every_held_out_row_is_answered_as_the_fitted_object_answers_it(
    name: str, trained: Store, service: Service
) -> None:
    artifact, path = trained.artifact(name), f"/models/{name}/predict"
    assert artifact.manifest.runtime.format == FORMATS[name], artifact.manifest.runtime.reason
    frame, truth = held_out(trained, name)
    assert len(frame) > 100
    expected, shares = said_by(name, joblib.load(artifact.read(joblib.FILE), artifact.manifest).chain, frame)

    rows = records(frame)
    answers = service.predict(rows, path).json()["predictions"]
    found = [answer["prediction"] for answer in answers]
    assert not any(answer["warnings"] for answer in answers)
    if shares is None:
        assert found == pytest.approx(expected, rel=1e-9)
        assert mean_absolute_error(truth, found) == pytest.approx(artifact.manifest.metrics["mae"])
    else:
        assert found == expected
        assert [list(answer["probabilities"].values()) for answer in answers] == shares.tolist()
        assert accuracy_score(truth, found) == artifact.manifest.metrics["accuracy"]

    for number in random.Random(0).sample(range(len(rows)), 10):
        alone = service.predict(dict(reversed(rows[number].items())), path).json()
        if shares is None:
            assert alone["prediction"] == pytest.approx(found[number], rel=1e-9)
        else:
            assert alone["prediction"] == found[number]
            assert alone["probabilities"] == pytest.approx(answers[number]["probabilities"], abs=1e-9)


def test_the_models_are_as_good_as_such_models_are(trained: Store) -> None:
    found = {name: trained.artifact(name).manifest.metrics for name in NAMES}
    assert 0.75 <= found["churn"]["roc_auc"] <= 0.85
    assert found["churn"]["recall_at_threshold"] > 0.7
    assert 0.3 < found["diabetes"]["r2"] < 0.6
    assert found["digits"]["accuracy"] > 0.95
    assert 0.75 < found["reviews"]["accuracy"] < 0.95


# --- what callers are told


@pytest.mark.parametrize(
    ("name", "field", "expected"),
    [
        ("churn", "signup date", {"type": "string", "format": "date"}),
        ("churn", "contract", {"enum": ["monthly", "one year", "two years"]}),
        ("churn", "calls.to.support", {"type": "integer", "minimum": 0, "maximum": 100}),
        ("churn", "family plan?", {"type": "boolean"}),
        (
            "churn",
            "Monthly charge (€)",
            {"anyOf": [{"type": "number", "minimum": 0, "maximum": 500}, {"type": "null"}]},
        ),
        ("churn", "payment", {"type": "string"}),
        ("diabetes", "blood_pressure", {"type": "number", "minimum": 40, "maximum": 200}),
        (
            "digits",
            "image",
            {
                "type": "array",
                "minItems": 8,
                "maxItems": 8,
                "items": {"type": "array", "minItems": 8, "maxItems": 8, "items": {"type": "number"}},
            },
        ),
        ("reviews", "text", {"type": "string"}),
    ],
)
def test_the_document_says_what_each_field_is(document: Any, name: str, field: str, expected: dict[str, Any]) -> None:
    row = document["components"]["schemas"][f"{name}-row"]
    assert row["properties"][field].items() >= expected.items()
    assert row["required"] == list(row["properties"])
    assert row["additionalProperties"] is False


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("churn", {"enum": ["stays", "leaves"]}),
        ("diabetes", {"type": "number"}),
        ("digits", {"enum": list(range(10))}),
        ("reviews", {"enum": ["displeased", "pleased"]}),
    ],
)
def test_the_document_says_what_an_answer_is(document: Any, name: str, expected: dict[str, Any]) -> None:
    schema = document["components"]["schemas"][f"{name}-prediction"]["properties"]["prediction"]
    assert schema.items() >= expected.items()


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("churn", {"signup date": "19.12.2024"}, "'signup date' must be a date "),
        ("churn", {"contract": "weekly"}, "'contract' must be one of monthly, one year, two years."),
        ("churn", {"calls.to.support": 1.5}, "'calls.to.support' must be a whole number from 0 to 100."),
        ("churn", {"family plan?": "yes"}, "'family plan?' must be true or false."),
        ("churn", {"Monthly charge (€)": -1}, "'Monthly charge (€)' must be a number from 0 to 500 €, or null."),
        ("churn", {"left": True}, "The model has no field 'left'; its fields are signup date, contract, payment, "),
        ("diabetes", {"age": 7}, "'age' must be a number from 18 to 110 years."),
        ("diabetes", {"ldl": None}, "'ldl' must be a number from 10 to 500 mg/dl."),
        ("digits", {"image": [[0.0] * 8] * 7}, "'image' must be 8 lists of 8 numbers."),
        ("digits", {"image": [[0.0] * 8] * 7 + [[0.0] * 9]}, "'image' must be 8 lists of 8 numbers."),
        ("digits", {"image": [["black"] * 8] * 8}, "'image' must be 8 lists of 8 numbers."),
        ("reviews", {"text": ["Great.", "Awful."]}, "'text' must be a text."),
    ],
)
def test_what_is_no_such_row_is_refused(service: Service, name: str, change: dict[str, Any], told: str) -> None:
    example = {field["name"]: field["example"] for field in service.get(f"/models/{name}/signature")["inputs"]}
    refused = service.predict(example | change, f"/models/{name}/predict")
    assert refused.status_code == 422
    problem = ProblemDocument.model_validate_json(refused.content)
    assert [error.field for error in problem.errors] == list(change)
    assert problem.detail.startswith(told)


@pytest.mark.parametrize(
    ("name", "change", "kind"),
    [
        ("churn", {"payment": "cash"}, "unseen"),
        ("churn", {"signup date": "1999-12-31"}, "out_of_range"),
        ("churn", {"Monthly charge (€)": None, "data used, GB": None}, None),
        ("diabetes", {"body_mass_index": 60}, "out_of_range"),
        ("digits", {"image": [[255.0] * 8] * 8}, "out_of_range"),
        ("reviews", {"text": "Nothing of this was ever said before."}, None),
    ],
)
def test_what_the_model_never_saw_is_answered_with_a_warning(
    service: Service, name: str, change: dict[str, Any], kind: str | None
) -> None:
    example = {field["name"]: field["example"] for field in service.get(f"/models/{name}/signature")["inputs"]}
    answer = service.predict(example | change, f"/models/{name}/predict")
    assert answer.status_code == 200, answer.text
    assert [warning["kind"] for warning in answer.json()["warnings"]] == ([] if kind is None else [kind])
