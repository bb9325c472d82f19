"""contract.child: questions and answers of every kind pass between the processes as they are."""

from typing import Any

import pytest

from contract.answers import Answers, Columns
from contract.errors import PredictionFailed
from contract.formats.chain import Chain
from contract.signature import Container, Field, Output, Signature
from tests.children import child_of, stored

BOTH: dict[str, Any] = {"labels": (0, 1), "classes": ("a", "b")}


class Says:
    """A model that answers with a constant for each row; travels by value, as it is nowhere at home."""

    __module__ = "__main__"

    def __init__(self, value: Any, shares: Any = None, decisions: Any = None) -> None:
        self.value, self.shares, self.decisions = value, shares, decisions

    def predict(self, rows: Any) -> Any:
        return [self.value] * len(rows)

    def predict_proba(self, rows: Any) -> Any:
        return [self.shares] * len(rows)

    def decision_function(self, rows: Any) -> Any:
        return [self.decisions] * len(rows)


@pytest.mark.parametrize(
    ("model", "output", "value", "scores"),
    [
        (Says(1, [0.25, 0.75]), Output(task="classification", scores="probabilities", **BOTH), "b", [0.25, 0.75]),
        (Says(1, decisions=-1e-300), Output(task="classification", scores="decisions", **BOTH), "b", [-1e-300]),
        (Says(0, decisions=[0.1, 7]), Output(task="classification", scores="decisions", **BOTH), "a", [0.1, 7.0]),
        (Says([1, 1], [0.9, 0.6]), Output(task="multilabel", scores="probabilities", **BOTH), ["a", "b"], [0.9, 0.6]),
        (Says([0, 0], [0.1, 0.2]), Output(task="multilabel", scores="probabilities", **BOTH), [], [0.1, 0.2]),
        (
            Says(None, [0.25, 0.75]),
            Output(task="classification", scores="probabilities", rule="threshold", threshold=0.8, **BOTH),
            "a",
            [0.25, 0.75],
        ),
        (
            Says(None, decisions=[-3.0, -2.0]),
            Output(task="classification", scores="decisions", rule="largest", **BOTH),
            "b",
            [-3.0, -2.0],
        ),
        (Says([0.1, 1 / 3]), Output(task="regression", width=2), [0.1, 1 / 3], None),
        (Says([2**53 + 1, True]), Output(task="regression", width=2), [2.0**53, 1.0], None),
        (Says(["é\u2028", ""]), Output(task="classification", type="string", width=2), ["é\u2028", ""], None),
        (Says(2**62 + 1), Output(task="classification", type="integer"), 2**62 + 1, None),
        (Says(True), Output(task="classification", type="boolean"), True, None),
    ],
    ids=lambda value: f"{value.task}-{value.rule}-{value.scores}" if isinstance(value, Output) else "",
)
def test_answers_of_every_kind_arrive(model: Any, output: Output, value: Any, scores: Any, tmp_path: Any) -> None:
    field = Field(name="x", type="float", dtype="float64")
    signature = Signature(container="array", inputs=(field,), output=output)
    with child_of(stored(tmp_path, model, signature=signature)) as child:
        found = child.answer({"x": [1.0, 2.0]})
    assert repr(found) == repr(Answers([value] * 2, None if scores is None else [scores] * 2))


FIELDS = (
    Field(name="day", type="date", dtype="object", nullable=True),
    Field(name="moment", type="datetime", dtype="datetime64[us, Europe/Berlin]", nullable=True),
    Field(name="image", type="tensor", dtype="float32", shape=(2, 2)),
    Field(name="list", type="tensor", dtype="list", shape=(2,)),
    Field(name="size", type="category", dtype="category", levels=(1, 2), nullable=True),
    Field(name="7", type="boolean", dtype="boolean", column=7, nullable=True),
)
ROWS: Columns = {
    "day": ["2026-11-21", None],
    "moment": ["2026-11-21T08:30:00.123456+00:00", None],
    "image": [[[0.5, 1], [2, 3]], [[0, 0], [0, 1e-9]]],
    "list": [[1, 2.5], [0, -0.0]],
    "size": [2, None],
    "7": [True, None],
}


def test_fields_of_every_kind_arrive(tmp_path: Any) -> None:
    def described(rows: Any) -> list[str]:
        texts = []
        for _, row in rows.iterrows():
            image = row["image"]
            parts = [row["day"], row["moment"], type(image).__name__, image.dtype, image.tolist(), row["list"]]
            texts.append(" ".join(map(str, [*parts, row["size"], row[7]])))
        return texts

    output = Output(task="classification", type="string")
    signature = Signature(container="frame", inputs=FIELDS, output=output)
    with child_of(stored(tmp_path, Chain([described]), signature=signature)) as child:
        first, second = child.answer(ROWS).values
        # an answer that no caller could have asked for is none, and the child goes on
        with pytest.raises(PredictionFailed, match=r"^A value does not fit the type that the model was fitted on\.$"):
            child.answer(dict(ROWS) | {"day": ["yesterday", None]})
        assert child.answer(ROWS).values == [first, second]
    berlin = "2026-11-21 09:30:00.123456+01:00"
    assert first == f"2026-11-21 {berlin} ndarray float32 [[0.5, 1.0], [2.0, 3.0]] [1, 2.5] 2 True"
    assert second == "None NaT ndarray float32 [[0.0, 0.0], [0.0, 9.999999717180685e-10]] [0, -0.0] nan <NA>"


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ("list", "['a', None]"),
        ("records", "[{'x': 'a'}, {'x': None}]"),
        ("column", "['a', nan]"),
        ("series", "['a', nan]"),
        ("array", "[['a'], [nan]]"),
    ],
)
def test_containers_of_every_kind_are_made_there(container: Container, said: str, tmp_path: Any) -> None:
    def shown(rows: Any) -> list[str]:
        return [repr(rows.tolist() if hasattr(rows, "tolist") else rows)] * len(rows)

    field = Field(name="x", type="string", dtype="object", nullable=True)
    output = Output(task="classification", type="string")
    signature = Signature(container=container, inputs=(field,), output=output)
    with child_of(stored(tmp_path, Chain([shown]), signature=signature)) as child:
        assert child.answer({"x": ["a", None]}).values == [said, said]


def test_an_answer_that_is_none_is_told_and_the_child_goes_on(tmp_path: Any) -> None:
    class Odd:
        def predict(self, rows: Any) -> Any:
            return [[1.0, 2.0]] * len(rows) if rows[0, 0] > 0 else [[1.0]] * len(rows)

    field = Field(name="x", type="float", dtype="float64")
    signature = Signature(container="array", inputs=(field,), output=Output(task="regression", width=2))
    with child_of(stored(tmp_path, Odd(), signature=signature)) as child:
        with pytest.raises(PredictionFailed, match=r"^The model did not give 2 values for each row\.$"):
            child.answer({"x": [-1.0]})
        assert child.answer({"x": [1.0]}) == Answers([[1.0, 2.0]])
