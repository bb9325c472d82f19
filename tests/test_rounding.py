"""serving.rounding: what is told of scores, the same in every form; what is compared and proved is not rounded."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from contract.answers import Answers, from_model
from contract.signature import Output
from contract.store import Store
from serving.app import create_app
from serving.client.answers import from_documents
from serving.loading import load
from serving.quality.report import _chance
from serving.replies import ReplySchema
from serving.rounding import Rounding
from serving.settings import ServeSettings
from serving.writing import interleaved
from tests.forms import EVERY, STREAMED, as_texts, body, said, written
from tests.live import until
from tests.test_app import served
from tests.test_replies import REPLIES
from tests.test_tables_parity import ANSWERS, of

MANY = 70
FLOWER = {"sepal_length": 6.0, "sepal_width": 2.7, "petal_length": 5.0, "petal_width": 1.65}
ROWS = [FLOWER | {"petal_width": 1.0 + row / 70} for row in range(MANY)]
THREE = Output(task="classification", labels=(0, 1, 2), classes=("a", "b", "c"), scores="probabilities")


def told(output: Output, answers: Answers, rounding: Rounding) -> list[dict[str, Any]]:
    return ReplySchema(output, answers, rounding).documents(answers)


def test_nothing_is_rounded_unless_it_is_set() -> None:
    assert Rounding.of(ServeSettings()) is None
    assert Rounding.of(ServeSettings(top_scores=2)) == Rounding(None, 2)


def test_probabilities_and_the_confidence_are_rounded_alike() -> None:
    answers = Answers(["c"], [[0.1234567, 0.3765433, 0.5]])
    assert told(THREE, answers, Rounding(3)) == [
        {"prediction": "c", "confidence": 0.5, "probabilities": {"a": 0.123, "b": 0.377, "c": 0.5}}
    ]
    assert told(THREE, answers, Rounding(1, 2)) == [
        {"prediction": "c", "confidence": 0.5, "probabilities": {"b": 0.4, "c": 0.5}}
    ]


def test_of_equal_ones_the_first_are_told_and_the_confidence_always() -> None:
    yes_no = Output(
        task="classification",
        labels=(0, 1),
        classes=("no", "yes"),
        scores="probabilities",
        rule="threshold",
        threshold=0.2,
    )
    assert told(yes_no, Answers(["yes"], [[0.75, 0.25]]), Rounding(None, 1)) == [
        {"prediction": "yes", "confidence": 0.25, "probabilities": {"no": 0.75}}
    ]
    assert Rounding(None, 2).all([0.2, 0.3, 0.3, 0.2]) == [None, 0.3, 0.3, None]
    assert Rounding(None, 1).all([0.5, 0.5]) == [0.5, None]


def test_numbers_that_are_the_answer_are_not_rounded() -> None:
    for kind in ("a number", "several numbers", "a transformed row", "a class"):
        output, answers, expected = REPLIES[kind]
        assert told(output, answers, Rounding(0, 1)) == expected


@pytest.mark.parametrize("rounding", [Rounding(1), Rounding(None, 1), Rounding(0, 2), Rounding(15, 9)], ids=repr)
@pytest.mark.parametrize("kind", REPLIES)
def test_a_document_is_what_its_schema_says_and_the_same_by_column(kind: str, rounding: Rounding) -> None:
    output, answers, _ = REPLIES[kind]
    replies = ReplySchema(output, answers, rounding)
    found = replies.documents(answers)
    schema = replies.json_schema()
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.Draft202012Validator(schema)
    for document in found:
        validator.validate({**document, "id": "1", "warnings": []})
        for name in ("probabilities", "scores"):
            assert len(document.get(name, ())) <= (rounding.most or 99)
    by_column = interleaved([*replies.parts(answers), b"}"], len(found))
    assert [json.loads(part) for part in re.findall(rb"\{.*?\}(?=\{\"pred|$)", by_column)] == found


def test_a_schema_says_what_is_told() -> None:
    replies = ReplySchema(THREE, Answers(["c"], [[0.2, 0.3, 0.5]]), Rounding(3, 2))
    properties = replies.json_schema()["properties"]
    assert (
        properties["confidence"]["description"] == "the probability of the predicted class, rounded to 3 decimal places"
    )
    shares = properties["probabilities"]
    assert (shares["minProperties"], shares["maxProperties"]) == (2, 2)
    assert shares["description"] == "rounded to 3 decimal places, of the 2 classes that have the largest"


@pytest.mark.parametrize("kind", [kind for kind in ANSWERS if ANSWERS[kind][1].scores])
def test_all_forms_tell_the_same(kind: str) -> None:
    output, answers = ANSWERS[kind]
    columns = {"x": [1.0, 11.0]}
    for rounding in (Rounding(1), Rounding(0, 1), Rounding(None, 2)):
        expected = said(written(EVERY[0], of(output), columns, answers, rounding=rounding), EVERY[0])
        for form in STREAMED:
            found = said(written(form, of(output), columns, answers, rounding=rounding), form)
            assert found == (as_texts(expected) if form.name == "CSV" else expected), form.name


def test_a_frame_has_a_column_for_each_class_whichever_are_told() -> None:
    documents = told(THREE, Answers(["c", "a"], [[0.1, 0.3, 0.6], [0.7, 0.2, 0.1]]), Rounding(None, 1))
    frame = from_documents([document | {"id": "1", "warnings": []} for document in documents], THREE)
    assert [*frame.columns][:5] == ["prediction", "confidence", "probabilities.a", "probabilities.b", "probabilities.c"]
    assert frame["probabilities.c"].isna().tolist() == [False, True]


def test_the_quality_of_shares_that_are_not_all_there_is_not_told() -> None:
    assert _chance('{"a":0.5,"b":0.5,"c":0.0}', "a", THREE) == 0.5
    assert _chance('{"a":0.5,"b":0.5}', "a", THREE) is None


# --- in a service


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rounded") / "predictions.sqlite"


@pytest.fixture(scope="module")
def client(example_store: Store, log: Path) -> Iterator[httpx.Client]:
    settings = ServeSettings(
        store=example_store.root, prediction_log=str(log), default_model="iris", round_scores=1, top_scores=2
    )
    with served(create_app(settings)) as client:
        until(lambda: client.post("/predict", json=FLOWER).status_code == 200)
        yield client


@pytest.fixture(scope="module")
def exact(example_store: Store) -> list[list[float]]:
    """The scores of the rows, as computed."""
    iris = load("iris", 1, example_store.artifact("iris", 1), ServeSettings(), tried=True)
    scores = iris.predictor.answer_blocking({name: [row[name] for row in ROWS] for name in FLOWER}).scores
    iris.predictor.retire()
    assert scores is not None
    assert sum(share != round(share, 1) for row in scores for share in row) > MANY / 2
    return scores


def test_every_form_of_body_gets_them_rounded(client: httpx.Client, exact: list[list[float]]) -> None:
    classes = ["setosa", "versicolor", "virginica"]
    expected = [
        {f"probabilities.{name}": share for name, share in zip(classes, Rounding(1, 2).all(row), strict=True) if share}
        for row in exact
    ]
    columns = {"columns": [*FLOWER], "data": [[*row.values()] for row in ROWS]}
    ways = [(form.media[0], body(form, ROWS)) for form in EVERY] + [("application/json", json.dumps(columns).encode())]
    for media, content in ways:
        answer = client.post("/predict", content=content, headers={"content-type": media})
        assert answer.status_code == 200, answer.text
        found = [
            {name: float(share) for name, share in row.items() if name in expected[0] | expected[-1] and float(share)}
            for row in said(answer.content, media)
        ]
        assert found == expected, media
    one_by_one = [client.post("/predict", json=row).json() for row in ROWS[:5]]
    assert [{f"probabilities.{k}": v for k, v in one["probabilities"].items() if v} for one in one_by_one] == expected[
        :5
    ]
    assert all(
        len(one["probabilities"]) == 2 and one["confidence"] == round(one["confidence"], 1) for one in one_by_one
    )


def test_the_documents_show_what_is_told(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    answer = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]
    assert len(answer["examples"]["one row"]["value"]["probabilities"]) == 2
    properties = document["components"]["schemas"]["iris-prediction"]["properties"]
    assert "rounded to 1 decimal places" in properties["confidence"]["description"]


def test_the_log_has_what_was_told_and_no_more(client: httpx.Client, log: Path) -> None:
    said = client.post("/predict", json=ROWS[30]).json()

    def kept() -> list[Any]:
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(log)) as database:  # not there yet
            return database.execute("select scores from predictions where id = ?", [said["id"]]).fetchall()
        return []

    [(scores,)] = until(kept)
    assert json.loads(scores) == said["probabilities"]


def test_what_is_compared_with_a_challenger_is_not_rounded(example_store: Store) -> None:
    artifact = example_store.artifact("iris", 1)
    iris = load("iris", 1, artifact, ServeSettings(round_scores=0, top_scores=1), tried=True)
    assert iris.quick is not None
    reply = iris.quick(json.dumps(FLOWER).encode(), "id")
    iris.predictor.retire()
    assert reply is not None
    assert reply.answers.scores is not None
    assert len(reply.answers.scores[0]) == 3
    assert reply.answers.scores[0] != [round(share) for share in reply.answers.scores[0]]


def test_many_answers_kept_as_arrays_are_rounded_alike() -> None:
    import numpy as np

    shares = np.random.default_rng(1).dirichlet([1, 1, 1], MANY)
    output = THREE.model_copy(update={"rule": "largest"})
    answers = from_model(None, shares, output, MANY)
    columns = {"x": [1.0] * MANY}
    expected = said(written(EVERY[0], of(output), columns, answers, rounding=Rounding(2, 2)), EVERY[0])
    for form in STREAMED:
        found = said(written(form, of(output), columns, answers, rounding=Rounding(2, 2)), form)
        assert found == (as_texts(expected) if form.name == "CSV" else expected), form.name
