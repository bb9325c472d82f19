"""Every kind of field and of answer, over the wire: what the model gets, what comes back, what callers are told."""

from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import numpy as np
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from contract.signature import Field, Output, Signature
from contract.store import Store
from serving.problems import ProblemDocument
from tests.live import Says, Service, X, publish, running
from tests.test_documents import assert_examples_hold
from tests.test_fuzz_api import asked

schemathesis.openapi.format("date-time-local", st.datetimes().map(lambda moment: moment.isoformat()))


def taking(*fields: Field, container: Any = "frame") -> Signature:
    return Signature(container=container, inputs=fields, output=X.output)


def saying(**output: Any) -> Signature:
    return Signature(container="frame", inputs=(number("x", 1),), output=Output(**output))


def number(name: str, example: float) -> Field:
    return Field(name=name, type="float", dtype="float64", bounds=(-1e6, 1e6), example=example)


ODD_NAMES = [
    *("self", "model_config", "model_fields", "__root__", "__class__", "class", "def", "None", "type", "__proto__"),
    *("", " ", "\u200b", "a b", "a.b", "a/b", "a~1b", "[0]", "$ref", "$defs", "#", "%41", "{{7*7}}", "{0.__class__}"),
    *('"', "'", "\\", "`id`", "$HOME", "!", "-d", "@x", "\n", "\x1b[31m", "<script>alert(1)</script>"),
    *("Größe (cm)", "数", "٣", "🌼", "\u202e", "é", "e\u0301", "age", "Age", "AGE", "x" * 200),
]
"""Each name is the field's number, so that none can be taken for another."""

CALENDAR = taking(
    Field(
        name="born", type="date", dtype="datetime64[ns]", observed=("1950-01-01", "2020-12-31"), example="2000-02-29"
    ),
    Field(name="at", type="datetime", dtype="datetime64[us]", example="2026-03-01T12:00:00"),
    Field(name="sent", type="datetime", dtype="datetime64[ns, Europe/Berlin]", example="2026-07-01T10:00:00+00:00"),
    Field(name="left", type="date", dtype="object", nullable=True, example=None),
)
IMAGE = taking(
    Field(
        name="image",
        type="tensor",
        dtype="uint8",
        shape=(2, 3),
        observed=(0, 200),
        example=[[0, 1, 2], [3, 4, 5]],
    ),
    container="array",
)
GRADES = taking(
    Field(name="grade", type="category", dtype="category", levels=(3, 1, 2), ordered=True, example=1),
    Field(name="member", type="category", dtype="category", levels=(True, False), nullable=True, example=None),
)
THREE: dict[str, Any] = {"labels": (0, 1, 2), "classes": ("art", "law", "war")}

MODELS: dict[str, tuple[Says, Signature]] = {
    "calendar": (
        Says(
            predict=lambda rows: (
                rows["at"].dt.day * 10_000
                + rows["born"].dt.day * 100
                + rows["sent"].dt.hour
                + rows["left"].notna() * 0.5
            )
        ),
        CALENDAR,
    ),
    "image": (Says(predict=lambda rows: (rows * [[1, 10, 100], [1000, 0, 0]]).sum(axis=(1, 2)) * 1.0), IMAGE),
    "grades": (
        Says(predict=lambda rows: rows["grade"].cat.codes + 10.0 * rows["member"].cat.codes),
        GRADES,
    ),
    "odd": (
        Says(predict=lambda rows: sum(rows[name] * place for place, name in enumerate(rows.columns))),
        taking(*(number(name, place) for place, name in enumerate(ODD_NAMES))),
    ),
    "wide": (
        Says(predict=lambda rows: rows.sum(axis=1)),
        taking(*(number(f"column {place}", place) for place in range(500))),
    ),
    "multilabel": (
        Says(
            predict=lambda rows: [[1, 0, int(x > 5)] for x in rows["x"]],
            predict_proba=lambda rows: np.array([[0.75, 0.25, float(x > 5)] for x in rows["x"]]),
        ),
        saying(task="multilabel", scores="probabilities", **THREE),
    ),
    "unnamed": (Says(predict=lambda rows: [[x, -x] for x in rows["x"]]), saying(task="regression", width=2)),
    "named": (
        Says(predict=lambda rows: [[x, -x] for x in rows["x"]]),
        saying(task="regression", width=2, names=("Höhe (m)", "$ref")),
    ),
    "pairs": (
        Says(predict=lambda rows: [[0, int(x > 5)] for x in rows["x"]]),
        saying(task="classification", width=2, names=("left", "right"), labels=(0, 1), classes=("no", "yes")),
    ),
    "decision": (
        Says(predict=lambda rows: [int(x > 5) for x in rows["x"]], decision_function=lambda rows: rows["x"] - 5),
        saying(task="classification", scores="decisions", labels=(0, 1), classes=("no", "yes")),
    ),
    "decisions": (
        Says(predict=lambda rows: [1] * len(rows), decision_function=lambda rows: [[-x, x, 0] for x in rows["x"]]),
        saying(task="classification", scores="decisions", **THREE),
    ),
    "threshold": (
        Says(predict_proba=lambda rows: [[0.75, 0.25]] * len(rows), predict=lambda rows: [0] * len(rows)),
        saying(
            task="classification",
            scores="probabilities",
            rule="threshold",
            threshold=0.2,
            labels=(0, 1),
            classes=("no", "yes"),
        ),
    ),
    "outliers": (
        Says(
            predict=lambda rows: [1 if x < 5 else -1 for x in rows["x"]], decision_function=lambda rows: 5 - rows["x"]
        ),
        saying(task="outliers", scores="decisions", labels=(-1, 1), classes=(-1, 1)),
    ),
    "clusters": (Says(predict=lambda rows: [int(x) for x in rows["x"]]), saying(task="clustering", type="integer")),
    "transform": (Says(predict=lambda rows: [[x, x * x, 0.5] for x in rows["x"]]), saying(task="transform", width=3)),
    "open": (
        Says(predict=lambda rows: [f"group {x:g}" for x in rows["x"]]),
        saying(task="classification", type="string"),
    ),
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a model of each kind."""
    store = Store(tmp_path_factory.mktemp("kinds") / "store")
    for name, (fitted, signature) in MODELS.items():
        publish(store, name, fitted, signature=signature)
    with running(store, logged=True, default_model="odd") as service:
        yield service
        assert "Traceback" not in service.complaints


@pytest.fixture(scope="module")
def document(kinds: Service) -> Any:
    return kinds.get("/openapi.json")


def ask(service: Service, name: str, row: Any) -> Any:
    """What a model says of a row, without what every answer has."""
    response = service.predict(row, f"/models/{name}/predict")
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer.pop("model"), answer.pop("version")) == (name, 1)
    del answer["id"]
    assert [warning["kind"] for warning in answer.pop("warnings")] in ([], ["out_of_range"])
    return answer


def refused(service: Service, name: str, **changes: Any) -> str:
    response: httpx.Response = service.predict(MODELS[name][1].example | changes, f"/models/{name}/predict")
    assert response.status_code == 422, response.text
    found = ProblemDocument.model_validate_json(response.content)
    assert [error.field for error in found.errors] == list(changes)
    return found.detail


# --- what the model gets


def test_dates_and_times_reach_the_model_as_what_it_was_fitted_on(kinds: Service) -> None:
    row = {"born": "2026-01-01", "at": "2026-01-11", "sent": "2026-07-01T10:30:00Z", "left": None}
    assert ask(kinds, "calendar", row) == {"prediction": 110112.0}  # noon in Berlin
    assert ask(kinds, "calendar", row | {"sent": "2026-01-01T10:30:00+00:00"}) == {"prediction": 110111.0}
    assert ask(kinds, "calendar", row | {"sent": "2026-07-01 06:00-04:00"}) == {"prediction": 110112.0}
    assert ask(kinds, "calendar", row | {"at": "2026-01-11T23:59:59.999", "left": "9999-12-31"}) == {
        "prediction": 110112.5
    }
    edge = row | {"born": "1677-09-22", "sent": "2262-04-11T00:00:00Z"}
    assert ask(kinds, "calendar", edge | {"at": "1677-09-22"}) == {"prediction": 222202.0}
    echoed = kinds.predict(row, "/models/calendar/predict?echo=true").json()["input"]
    assert echoed == row | {"at": "2026-01-11T00:00:00", "sent": "2026-07-01T10:30:00+00:00"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("born", "2026-02-30"),
        ("born", "0000-01-01"),
        ("born", "10000-01-01"),
        ("born", "1677-09-21"),
        ("born", "2262-04-12"),
        ("born", "1774137600"),
        ("born", 1774137600),
        ("at", "2026-01-11T10:00:00Z"),
        ("at", 1774137600.5),
        ("sent", "2026-01-11"),
        ("sent", "2026-01-11T10:00:00"),
        ("sent", "0001-01-01T00:00:00+14:00"),
        ("sent", "2262-04-11T23:59:59Z"),
        ("left", "2026-13-01"),
    ],
)
def test_what_is_no_such_date_is_refused(kinds: Service, name: str, text: Any) -> None:
    detail = refused(kinds, "calendar", **{name: text})
    assert detail.startswith(f"'{name}' must be a date ")
    assert str(text) not in detail


def test_a_tensor_reaches_the_model_in_its_shape(kinds: Service) -> None:
    row = {"image": [[1, 2, 3], [4, 5, 6]]}
    assert ask(kinds, "image", row) == {"prediction": 4321.0}
    many = kinds.predict([row, {"image": [[0, 0, 0], [1, 0, 255]]}], "/models/image/predict").json()["predictions"]
    assert [(found["prediction"], len(found["warnings"])) for found in many] == [(4321.0, 0), (1000.0, 1)]
    assert refused(kinds, "image", image=[[1, 2, 3]]) == "'image' must be 2 lists of 3 whole numbers."
    assert refused(kinds, "image", image=[[1, 2, 3], [4, 5, 256]]) == (
        "'image' must be 2 lists of 3 whole numbers from 0 to 255."
    )


def test_categories_may_be_numbers_and_truths(kinds: Service) -> None:
    found = [ask(kinds, "grades", {"grade": grade, "member": None})["prediction"] for grade in (3, 1, 2)]
    assert found == [-10.0, -9.0, -8.0]
    found = [ask(kinds, "grades", {"grade": 3, "member": member})["prediction"] for member in (True, False)]
    assert found == [0.0, 10.0]
    for wrong in (True, 1.0, "1", 4, None):
        assert refused(kinds, "grades", grade=wrong) == "'grade' must be one of 3, 1, 2."
    assert refused(kinds, "grades", member=1) == "'member' must be one of true, false, or null."


# --- names


def test_fields_may_have_any_name(kinds: Service) -> None:
    row = dict.fromkeys(reversed(ODD_NAMES), 0.0)
    for place, name in enumerate(ODD_NAMES):
        assert ask(kinds, "odd", row | {name: 1.0}) == {"prediction": place}
        assert (
            refused(kinds, "odd", **{name: "x"}).endswith(" must be a number from -1000000 to 1000000.")
            if len(name) < 80
            else True
        )
    unknown = kinds.predict(row | {"aGe": 1.0}, "/models/odd/predict").json()
    assert [(error["field"], error["code"]) for error in unknown["errors"]] == [("aGe", "unknown_field")]


def test_a_row_may_have_hundreds_of_fields(kinds: Service) -> None:
    row = MODELS["wide"][1].example
    assert ask(kinds, "wide", row) == {"prediction": sum(range(500))}
    del row["column 250"]
    found = kinds.predict(row | {"column 500": 1}, "/models/wide/predict").json()
    assert [error["field"] for error in found["errors"]] == ["column 250", "column 500"]
    assert len(found["detail"]) < 300


# --- what comes back


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "multilabel",
            {"prediction": ["art", "war"], "probabilities": {"art": 0.75, "law": 0.25, "war": 1.0}},
        ),
        ("unnamed", {"prediction": [7.0, -7.0]}),
        ("named", {"prediction": {"Höhe (m)": 7.0, "$ref": -7.0}}),
        ("pairs", {"prediction": {"left": "no", "right": "yes"}}),
        ("decision", {"prediction": "yes", "score": 2.0}),
        ("decisions", {"prediction": "law", "scores": {"art": -7.0, "law": 7.0, "war": 0.0}}),
        ("threshold", {"prediction": "yes", "confidence": 0.25, "probabilities": {"no": 0.75, "yes": 0.25}}),
        ("outliers", {"prediction": -1, "score": -2.0}),
        ("clusters", {"prediction": 7}),
        ("transform", {"prediction": [7.0, 49.0, 0.5]}),
        ("open", {"prediction": "group 7"}),
    ],
)
def test_each_kind_of_answer_has_its_form(kinds: Service, document: Any, name: str, expected: dict[str, Any]) -> None:
    assert ask(kinds, name, {"x": 7}) == expected
    schema = document["components"]["schemas"][f"{name}-prediction"]
    assert set(schema["properties"]) == set(schema["required"]) | {"input"} == {*expected, "id", "warnings", "input"}


# --- what is told


def test_the_document_is_valid_and_its_examples_hold(kinds: Service, document: Any) -> None:
    schemathesis.openapi.from_dict(document).validate()
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)
    for name in MODELS:
        assert_examples_hold(kinds, document, f"/models/{name}/predict")
    assert list(document["components"]["schemas"]["odd-row"]["properties"]) == ODD_NAMES


def test_each_signature_comes_back_as_it_was_published(kinds: Service) -> None:
    for name, (_, signature) in MODELS.items():
        found = kinds.client.get(f"/models/{name}/signature").content
        assert Signature.model_validate_json(found) == signature


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
def test_whatever_is_sent_is_answered_as_the_document_says(kinds: Service, document: Any, mode: GenerationMode) -> None:
    api: Any = schemathesis.openapi.from_url(f"{kinds.url}/openapi.json").exclude(path_regex="/wide/|^/predict$")
    seen = set(asked(kinds, api, mode))
    assert seen & ({200} if mode is GenerationMode.POSITIVE else {422})
    assert 500 not in seen
