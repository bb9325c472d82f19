"""contract.golden: rows kept with the answers of the fitted object, and the proof by them."""

import json
import math
import re

import pytest

from contract import golden
from contract.answers import Answers, Columns
from contract.errors import (
    DeadlineExceeded,
    ManifestInvalid,
    ModelCrashed,
    PredictionFailed,
    SelfTestFailed,
    SelfTestMismatch,
    SelfTestTimeout,
)
from contract.signature import Output, Signature
from tests.samples import REGRESSION

INPUTS = REGRESSION.inputs
ROWS: Columns = {"x0": [1.0, 2.0], "x1": [0.1, 0.2]}
CLASSES, SOME, PAIRS, OPEN = (
    Signature(container="array", inputs=INPUTS, output=output)
    for output in (
        Output(task="classification", labels=(0, 1), classes=("a", "b"), scores="probabilities"),
        Output(task="multilabel", labels=(0, 1), classes=("a", "b"), scores="probabilities"),
        Output(task="regression", width=2),
        Output(task="classification", type="integer"),
    )
)


class Says:
    """A model that answers, or raises, one thing."""

    def __init__(self, what: Answers | Exception) -> None:
        self.what = what

    def answer(self, columns: Columns) -> Answers:
        assert columns == ROWS
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


@pytest.mark.parametrize(("rows", "kept"), [(1, 1), (19, 19), (20, 20), (21, 11), (40, 20), (41, 14), (1000, 20)])
def test_some_rows_are_chosen_from_all_over(rows: int, kept: int) -> None:
    columns: Columns = {"x": list(range(rows)), "y": [str(row) for row in range(rows)]}
    chosen, answers = golden.choose(columns, Answers([float(row) for row in range(rows)]))
    assert len(chosen["x"]) == kept
    assert chosen["x"][0] == 0
    assert rows - chosen["x"][-1] <= max(1, rows / kept)
    assert chosen["y"] == [str(row) for row in chosen["x"]]
    assert answers == Answers([float(row) for row in chosen["x"]])


def test_no_rows_give_no_golden_rows() -> None:
    assert golden.choose({"x": []}, Answers([])) == ({"x": []}, Answers([]))


@pytest.mark.parametrize(
    "answers",
    [
        Answers([0.1 + 0.2, 1e-300]),
        Answers(["a", "b"], [[1 / 3, 2 / 3], [1.0, 0.0]]),
        Answers([True, 7]),
        Answers([[0.1, 2.0], [3.0, -0.0]]),
        Answers([["a", "é"], []], [[0.9, 0.6], [0.1, 0.2]]),
        Answers([[True, 1], ["1", 1.0]]),
        Answers(["odd", "usual"], [[-0.5], [0.25]]),
    ],
)
def test_golden_rows_come_back_exactly(answers: Answers) -> None:
    rows: Columns = {
        "x": [None, 0.1],
        "é \n": ["a", None],
        "n": [2**63, -1],
        "b": [True, False],
        "day": ["2026-11-21", None],
        "moment": ["2026-11-21T10:00:00+00:00", "2026-11-21T10:00:00.123456"],
        "image": [[[0, 1], [2, 3]], [[0.5, 1e-9], [2.0, None]]],
    }
    read_rows, read_answers = golden.read(golden.write(rows, answers))
    assert repr(read_rows) == repr(rows)
    assert repr(read_answers) == repr(answers)


def test_rows_that_no_request_could_send_come_back_too() -> None:
    rows, _ = golden.read(golden.write({"x": [math.inf, math.nan]}, Answers([1.0, 2.0])))
    assert repr(rows) == "{'x': [inf, nan]}"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"rows": {"x": [1]}, "values": [1]}',
        b'{"rows": [1], "values": [1], "scores": null}',
        b'{"rows": {"x": 1}, "values": [1], "scores": null}',
        b'{"rows": {"x": [1]}, "values": "a", "scores": null}',
        b'{"rows": {"x": [1]}, "values": [[[1]]], "scores": null}',
        b'{"rows": {"x": [1]}, "values": [null], "scores": null}',
        b'{"rows": {"x": [1]}, "values": [[null]], "scores": null}',
        b'{"rows": {"x": [1]}, "values": [{"a": 1}], "scores": null}',
        b'{"rows": {"x": [1]}, "values": [1], "scores": [[NaN]]}',
        b'{"rows": {"x": [1]}, "values": [1], "scores": [[null]]}',
        b'{"rows": {"x": [1]}, "values": [1], "scores": null, "probabilities": null}',
        b'{"rows": {"x": [1]}, "values": [NaN], "scores": null}',
        b'{"rows": {"x": [1]}, "values": [1], "scores": [1]}',
        b'{"rows": {"x": [1]}, "values": [1], "scores": [["1"]]}',
        b'{"rows": {"x": [1]}, "values": [1, 2], "scores": null}',
        b'{"rows": {"x": [1], "y": []}, "values": [1], "scores": null}',
        b'{"rows": {"x": [1]}, "values": [1], "scores": [[1], [1]]}',
        b'{"rows": {"x": [1]}, "values": [1], "scores": []}',
        b'{"rows": {}, "values": [1], "scores": null}',
        b"\x80\x04N.",
    ],
)
def test_what_are_no_golden_rows_is_refused(document: bytes) -> None:
    with pytest.raises(ManifestInvalid, match=r"^golden\.json is not a document of golden rows\.$"):
        golden.read(document)


# --- the proof


def test_a_model_that_answers_alike_passes() -> None:
    expected = Answers([1.0, 2000.0])
    document = golden.write(ROWS, expected)
    golden.reproduce(Says(expected), document, REGRESSION, 0.0)
    golden.reproduce(Says(Answers([1.0 + 9e-7, 2000.0 + 9e-4])), document, REGRESSION, 1e-6)
    classes = Answers(["a", "b"], [[0.75, 0.25], [0.0, 1.0]])
    near = Answers(["a", "b"], [[0.75, 0.25 + 9e-6], [0.0, 1.0]])
    golden.reproduce(Says(near), golden.write(ROWS, classes), CLASSES, 1e-5)
    pairs = Answers([[1.0, 2000.0], [3.0, 4.0]])
    golden.reproduce(Says(Answers([[1.0, 2000.0 + 9e-4], [3.0, 4.0]])), golden.write(ROWS, pairs), PAIRS, 1e-6)
    some = Answers([["a", "b"], []], [[0.75, 0.5], [0.25, 0.0]])
    golden.reproduce(Says(some), golden.write(ROWS, some), SOME, 0.0)


@pytest.mark.parametrize(
    ("signature", "expected", "found", "says"),
    [
        (REGRESSION, Answers([1.0, 2.0]), Answers([1.0, 2.5]), "a number differs by 0.25, 1e-06 is allowed."),
        (REGRESSION, Answers([1.0, 2.0]), Answers([1.0, 2.0 + 4e-6]), "a number differs by 2e-06, 1e-06 is allowed."),
        (CLASSES, Answers(["a", "b"]), Answers(["b", "a"]), "a class differs."),
        (
            CLASSES,
            Answers(["a", "b"], [[0.75, 0.25], [0.0, 1.0]]),
            Answers(["a", "b"], [[0.75, 0.25], [0.125, 0.875]]),
            "a number differs by 0.12, 1e-06 is allowed.",
        ),
        (
            CLASSES,
            Answers(["a", "b"], [[0.75, 0.25], [0.0, 1.0]]),
            Answers(["a", "b"], [[0.75], [1.0]]),
            "a class differs.",
        ),
        (CLASSES, Answers(["a", "b"], [[0.75, 0.25], [0.0, 1.0]]), Answers(["a", "b"]), "a class differs."),
        (
            PAIRS,
            Answers([[1.0, 2.0]] * 2),
            Answers([[1.0, 2.0], [1.0, 2.5]]),
            "a number differs by 0.25, 1e-06 is allowed.",
        ),
        (PAIRS, Answers([[1.0, 2.0]] * 2), Answers([[1.0, 2.0], [1.0]]), "a class differs."),
        (REGRESSION, Answers([[1.0], [2.0]]), Answers([1.0, 2.0]), "a class differs."),
        (SOME, Answers([["a"], []]), Answers([["a"], ["b"]]), "a class differs."),
        (OPEN, Answers([7, 8]), Answers([7, 9]), "a class differs."),
    ],
)
def test_a_model_that_answers_otherwise_does_not_pass(
    signature: Signature, expected: Answers, found: Answers, says: str
) -> None:
    whole = f"^The model answers its golden rows otherwise than when it was fitted: {re.escape(says)}$"
    with pytest.raises(SelfTestMismatch, match=whole):
        golden.reproduce(Says(found), golden.write(ROWS, expected), signature, 1e-6)


@pytest.mark.parametrize("error", [PredictionFailed("why"), ModelCrashed("why"), DeadlineExceeded("why")])
def test_a_model_that_cannot_answer_does_not_pass(error: Exception) -> None:
    kind = SelfTestTimeout if isinstance(error, DeadlineExceeded) else SelfTestFailed
    with pytest.raises(kind, match=r"^The model could not answer its golden rows: why$"):
        golden.reproduce(Says(error), golden.write(ROWS, Answers([1.0, 2.0])), REGRESSION, 1e-6)


@pytest.mark.parametrize(
    ("signature", "changes"),
    [
        (REGRESSION, {"values": ["a", "b"]}),
        (PAIRS, {"values": [["a", "b"], ["a", "b"]]}),
        (PAIRS, {"values": [1.0, 2.0]}),
    ],
)
def test_golden_rows_of_another_kind_of_model_are_refused(signature: Signature, changes: dict[str, object]) -> None:
    answers = Answers([1.0, 2.0]) if signature is REGRESSION else Answers([[1.0, 2.0], [3.0, 4.0]])
    document = json.dumps(json.loads(golden.write(ROWS, answers)) | changes).encode()
    with pytest.raises(ManifestInvalid, match=r"^golden\.json is not a document of golden rows\.$"):
        golden.reproduce(Says(answers), document, signature, 1e-6)
