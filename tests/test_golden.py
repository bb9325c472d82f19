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
)
from contract.signature import Field, Output, Signature
from tests.samples import REGRESSION

ROWS: Columns = {"x0": [1.0, 2.0], "x1": [0.1, 0.2]}
CLASSES = Signature(
    container="array",
    inputs=(Field(name="x0", type="float", dtype="float64"), Field(name="x1", type="float", dtype="float64")),
    output=Output(task="classification", labels=(0, 1), classes=("a", "b"), probabilities=True),
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
    "answers", [Answers([0.1 + 0.2, 1e-300]), Answers(["a", "b"], [[1 / 3, 2 / 3], [1.0, 0.0]]), Answers([True, 7])]
)
def test_golden_rows_come_back_exactly(answers: Answers) -> None:
    rows: Columns = {"x": [None, 0.1], "é \n": ["a", None], "n": [2**63, -1], "b": [True, False]}
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
        b'{"rows": [1], "values": [1], "probabilities": null}',
        b'{"rows": {"x": 1}, "values": [1], "probabilities": null}',
        b'{"rows": {"x": [1]}, "values": "a", "probabilities": null}',
        b'{"rows": {"x": [1]}, "values": [[1]], "probabilities": null}',
        b'{"rows": {"x": [1]}, "values": [NaN], "probabilities": null}',
        b'{"rows": {"x": [1]}, "values": [1], "probabilities": [1]}',
        b'{"rows": {"x": [1]}, "values": [1], "probabilities": [["1"]]}',
        b'{"rows": {"x": [1]}, "values": [1, 2], "probabilities": null}',
        b'{"rows": {"x": [1], "y": []}, "values": [1], "probabilities": null}',
        b'{"rows": {"x": [1]}, "values": [1], "probabilities": [[1], [1]]}',
        b'{"rows": {"x": [1]}, "values": [1], "probabilities": []}',
        b'{"rows": {}, "values": [1], "probabilities": null}',
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
    with pytest.raises(SelfTestFailed, match=r"^The model could not answer its golden rows: why$"):
        golden.reproduce(Says(error), golden.write(ROWS, Answers([1.0, 2.0])), REGRESSION, 1e-6)


@pytest.mark.parametrize(
    ("signature", "changes"),
    [
        (REGRESSION, {"values": ["a", "b"]}),
        (CLASSES, {"values": ["a", "b"], "probabilities": [[1.0], [1.0]]}),
    ],
)
def test_golden_rows_of_another_kind_of_model_are_refused(signature: Signature, changes: dict[str, object]) -> None:
    answers = Answers([1.0, 2.0]) if signature is REGRESSION else Answers(["a", "b"], [[0.5, 0.5], [0.5, 0.5]])
    document = json.dumps(json.loads(golden.write(ROWS, answers)) | changes).encode()
    with pytest.raises(ManifestInvalid, match=r"^golden\.json is not a document of golden rows\.$"):
        golden.reproduce(Says(answers), document, signature, 1e-6)
