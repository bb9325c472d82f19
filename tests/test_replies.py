"""serving.replies: what callers get for each kind of output, and that its schema says just that."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import to_json

from contract.answers import Answers
from contract.errors import PredictionFailed
from contract.signature import Output
from serving.replies import ReplySchema
from serving.writing import interleaved, spelled

NO_YES: dict[str, Any] = {"labels": (0, 1), "classes": ("no", "yes")}
RGB: dict[str, Any] = {"labels": (0, 1, 2), "classes": ("red", "green", "blue")}
TOPICS: dict[str, Any] = {"task": "multilabel", "labels": (0, 1, 2), "classes": ("art", "law", "war")}

REPLIES: dict[str, tuple[Output, Answers, list[dict[str, Any]]]] = {
    "a number": (Output(task="regression"), Answers([1.5, -2.0]), [{"prediction": 1.5}, {"prediction": -2.0}]),
    "a class": (
        Output(task="classification", **NO_YES),
        Answers(["yes", "no"]),
        [{"prediction": "yes"}, {"prediction": "no"}],
    ),
    "probabilities": (
        Output(task="classification", scores="probabilities", **NO_YES),
        Answers(["yes", "yes"], [[0.25, 0.75], [0.625, 0.375]]),
        [
            {"prediction": "yes", "confidence": 0.75, "probabilities": {"no": 0.25, "yes": 0.75}},
            {"prediction": "yes", "confidence": 0.375, "probabilities": {"no": 0.625, "yes": 0.375}},
        ],
    ),
    "a threshold": (
        Output(task="classification", scores="probabilities", rule="threshold", threshold=0.2, **NO_YES),
        Answers(["yes"], [[0.75, 0.25]]),
        [{"prediction": "yes", "confidence": 0.25, "probabilities": {"no": 0.75, "yes": 0.25}}],
    ),
    "booleans": (
        Output(task="classification", labels=(0, 1), classes=(False, True), scores="probabilities"),
        Answers([True], [[0.0, 1.0]]),
        [{"prediction": True, "confidence": 1.0, "probabilities": {"false": 0.0, "true": 1.0}}],
    ),
    "integers": (
        Output(task="classification", labels=(3, 1), classes=(3, 1), scores="probabilities"),
        Answers([3], [[0.5, 0.5]]),
        [{"prediction": 3, "confidence": 0.5, "probabilities": {"3": 0.5, "1": 0.5}}],
    ),
    "a decision of two": (
        Output(task="classification", scores="decisions", **NO_YES),
        Answers(["yes", "no"], [[12.5], [-3.25]]),
        [{"prediction": "yes", "score": 12.5}, {"prediction": "no", "score": -3.25}],
    ),
    "both decisions of two": (
        Output(task="classification", scores="decisions", **NO_YES),
        Answers(["yes"], [[-1.5, 1.5]]),
        [{"prediction": "yes", "scores": {"no": -1.5, "yes": 1.5}}],
    ),
    "decisions of three": (
        Output(task="classification", scores="decisions", **RGB),
        Answers(["blue"], [[-1.5, 0.0, 7.25]]),
        [{"prediction": "blue", "scores": {"red": -1.5, "green": 0.0, "blue": 7.25}}],
    ),
    "an open text": (
        Output(task="classification", type="string"),
        Answers(["Ulm", ""]),
        [{"prediction": "Ulm"}, {"prediction": ""}],
    ),
    "an open integer": (Output(task="classification", type="integer"), Answers([7]), [{"prediction": 7}]),
    "an open truth": (Output(task="classification", type="boolean"), Answers([True]), [{"prediction": True}]),
    "labels": (Output(**TOPICS), Answers([["art", "war"], []]), [{"prediction": ["art", "war"]}, {"prediction": []}]),
    "labels with probabilities": (
        Output(scores="probabilities", **TOPICS),
        Answers([["art", "war"]], [[0.75, 0.25, 0.875]]),
        [{"prediction": ["art", "war"], "probabilities": {"art": 0.75, "law": 0.25, "war": 0.875}}],
    ),
    "labels with decisions": (
        Output(scores="decisions", **TOPICS),
        Answers([["art"]], [[3.5, -1.0, -2.0]]),
        [{"prediction": ["art"], "scores": {"art": 3.5, "law": -1.0, "war": -2.0}}],
    ),
    "one label with a decision": (
        Output(task="multilabel", labels=(0,), classes=("art",), scores="decisions"),
        Answers([["art"]], [[3.5]]),
        [{"prediction": ["art"], "scores": {"art": 3.5}}],
    ),
    "several numbers": (
        Output(task="regression", width=2),
        Answers([[1.5, 2.0], [0.0, -1.0]]),
        [{"prediction": [1.5, 2.0]}, {"prediction": [0.0, -1.0]}],
    ),
    "several numbers with names": (
        Output(task="regression", width=2, names=("Größe (cm)", "$ref")),
        Answers([[1.5, 2.0]]),
        [{"prediction": {"Größe (cm)": 1.5, "$ref": 2.0}}],
    ),
    "one number in a list": (Output(task="regression", width=1), Answers([[1.5]]), [{"prediction": [1.5]}]),
    "several classes": (
        Output(task="classification", width=2, **NO_YES),
        Answers([["yes", "no"]]),
        [{"prediction": ["yes", "no"]}],
    ),
    "several classes with names": (
        Output(task="classification", width=2, names=("left", "right"), **NO_YES),
        Answers([["yes", "no"]]),
        [{"prediction": {"left": "yes", "right": "no"}}],
    ),
    "several open labels": (
        Output(task="classification", width=2, type="string"),
        Answers([["a", "b"]]),
        [{"prediction": ["a", "b"]}],
    ),
    "a cluster": (Output(task="clustering", type="integer"), Answers([4]), [{"prediction": 4}]),
    "a known cluster": (
        Output(task="clustering", labels=(0, 1), classes=(0, 1)),
        Answers([1]),
        [{"prediction": 1}],
    ),
    "an outlier": (
        Output(task="outliers", labels=(-1, 1), classes=(-1, 1), scores="decisions"),
        Answers([-1], [[-0.125]]),
        [{"prediction": -1, "score": -0.125}],
    ),
    "an outlier with names": (
        Output(task="outliers", labels=(-1, 1), classes=("odd", "usual"), scores="decisions"),
        Answers(["usual"], [[0.125]]),
        [{"prediction": "usual", "score": 0.125}],
    ),
    "an open outlier": (
        Output(task="outliers", type="integer", scores="decisions"),
        Answers([-1], [[-0.5]]),
        [{"prediction": -1, "score": -0.5}],
    ),
    "a transformed row": (Output(task="transform", width=3), Answers([[1.0, 2.5, 0.0]]), [{"prediction": [1, 2.5, 0]}]),
}
WARNINGS = [{"field": "x", "kind": "unseen", "message": "The model never saw this value of 'x'."}]


@pytest.mark.parametrize("kind", REPLIES)
def test_a_reply_is_a_document_that_its_schema_describes(kind: str) -> None:
    output, answers, expected = REPLIES[kind]
    replies = ReplySchema(output, answers)
    assert replies.documents(answers) == expected
    schema = replies.json_schema()
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.Draft202012Validator(schema)
    for document in expected:
        whole = {**document, "id": "1", "warnings": WARNINGS}
        validator.validate(whole)
        assert set(whole) == set(schema["properties"])
        for name in whole:
            assert not validator.is_valid({key: value for key, value in whole.items() if key != name})


@pytest.mark.parametrize("kind", REPLIES)
def test_documents_are_the_same_by_column_as_by_row(kind: str) -> None:
    output, answers, expected = REPLIES[kind]
    replies = ReplySchema(output, answers)
    for times in (0, 1, 70):
        some = answers.take([*range(len(expected))] * times)
        by_column = interleaved([*replies.parts(some), b"}"], len(expected) * times)
        assert by_column == b"".join(map(to_json, replies.documents(some)))


JSON = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(values=st.lists(JSON) | st.lists(st.text()) | st.lists(st.floats() | st.booleans()) | st.lists(st.lists(JSON)))
@hypothesis_settings(max_examples=50)
def test_values_are_spelled_the_same_together_as_alone(values: list[Any]) -> None:
    assert spelled(values) == [to_json(value) for value in values]


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("a number", ["1.5", True, None, [1.5]]),
        ("a class", ["maybe", 0, ["no"], None]),
        ("integers", [2, "3", True]),
        ("booleans", ["true", 0]),
        ("an open text", [7, True, None]),
        ("an open integer", ["7", 7.5, True]),
        ("an open truth", [1, "true"]),
        ("labels", ["art", ["art", "art"], ["chess"], {"art": True}]),
        ("several numbers", [[1.5], [1.5, 2.0, 3.0], 1.5, [1.5, "2"], {"a": 1.5, "b": 2.0}]),
        ("several numbers with names", [[1.5, 2.0], {"$ref": 2.0}, {"Größe (cm)": 1, "$ref": 2, "more": 3}]),
        ("several classes", [["yes", "maybe"], ["yes"], "yes"]),
        ("several classes with names", [{"left": "yes", "right": "maybe"}, ["yes", "no"]]),
        ("a cluster", ["4", 4.5]),
        ("an outlier", [0, "odd"]),
        ("a transformed row", [[1.0, 2.5], "x"]),
    ],
)
def test_its_schema_describes_nothing_else(kind: str, wrong: list[Any]) -> None:
    output, answers, [document, *_] = REPLIES[kind]
    validator = jsonschema_rs.Draft202012Validator(ReplySchema(output, answers).json_schema())
    whole = {**document, "id": "1", "warnings": []}
    validator.validate(whole)
    for prediction in wrong:
        assert not validator.is_valid(whole | {"prediction": prediction}), prediction


def test_its_schema_says_how_far_scores_may_go() -> None:
    def valid(kind: str, **changes: Any) -> bool:
        output, answers, [document, *_] = REPLIES[kind]
        schema = ReplySchema(output, answers).json_schema()
        return jsonschema_rs.is_valid(schema, {**document, "id": "1", "warnings": []} | changes)

    assert not valid("probabilities", confidence=1.5)
    assert not valid("probabilities", probabilities={"no": -0.5, "yes": 1.5})
    assert not valid("probabilities", probabilities={"no": 0.5})
    assert not valid("labels with probabilities", probabilities={"art": 0.5, "law": 0.5, "war": 2})
    assert valid("labels with probabilities", probabilities={"art": 1, "law": 1, "war": 1})
    assert valid("decisions of three", scores={"red": -1e300, "green": 5, "blue": 0})
    assert not valid("decisions of three", scores={"red": 0, "green": 5})
    assert valid("an outlier", score=-1e300)
    assert not valid("an outlier", score=[1])


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("probabilities", Answers(["maybe"], [[0.5, 0.5]])),
        ("probabilities", Answers(["yes"], [[1.0]])),
        ("probabilities", Answers(["yes"], None)),
        ("probabilities", Answers([["yes"]], [[0.5, 0.5]])),
        ("decisions of three", Answers(["red"], [[1.0]])),
        ("decisions of three", Answers(["red", "red"], [[1.0, 2.0, 3.0]])),
        ("a decision of two", Answers(["no"], [[1.0, 2.0]])),
        ("a decision of two", Answers(["no"], None)),
        ("several numbers with names", Answers([[1.0]])),
        ("several numbers with names", Answers([1.0])),
    ],
)
def test_an_answer_of_another_form_is_none(kind: str, answers: Answers) -> None:
    output, usual, _ = REPLIES[kind]
    replies = ReplySchema(output, usual)
    for write in (replies.documents, replies.parts):
        with pytest.raises(PredictionFailed, match=r"^The model answered something that does not fit its signature\.$"):
            write(answers)


@pytest.mark.parametrize(
    "given",
    [
        {"task": "classification", "labels": (0, 1), "classes": ("1", 1), "scores": "probabilities"},
        {"task": "multilabel", "labels": (0, 1), "classes": (True, "true"), "scores": "decisions"},
        {"task": "regression", "width": 3, "names": ("a", "b", "a")},
    ],
)
def test_two_values_of_one_name_are_no_output(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"of its own"):
        Output(**given)
