"""contract.answers: what a model says, as plain values."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from contract.answers import Answers, as_list, count, from_model, join
from contract.errors import PredictionFailed
from contract.signature import Output

REGRESSION = Output(task="regression")
LABELS = Output(task="classification", labels=(0, 1, 2), classes=("a", "b", "c"))
SHARES = Output(task="classification", labels=("no", "yes"), classes=(False, True), scores="probabilities")
DECISIONS = Output(task="classification", labels=(0, 1, 2), classes=("a", "b", "c"), scores="decisions")
SOME = Output(task="multilabel", labels=(0, 1, 2), classes=("a", "b", "c"))


def changed(output: Output, **changes: Any) -> Output:
    return Output.model_validate(output.model_dump() | changes)


CUT = changed(SHARES, rule="threshold", threshold=0.5)
LARGEST = changed(DECISIONS, rule="largest")


def test_rows_are_counted() -> None:
    assert count({"x": [1, 2, 3], "y": [None, None, None]}) == 3
    assert count({"x": []}) == 0


def test_some_rows_are_taken() -> None:
    answers = Answers(["a", "b", "c"], [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    assert answers.take([2, 0]) == Answers(["c", "a"], [[0.0, 1.0], [1.0, 0.0]])
    assert answers.take([]) == Answers([], [])
    assert Answers([1.0, 2.0]).take(range(1, 2)) == Answers([2.0])


def test_answers_of_several_sets_of_rows_become_those_of_one() -> None:
    parts = [Answers(["a"], [[0.5, 0.5]]), Answers([], []), Answers(["b", "c"], [[1.0, 0.0], [0.0, 1.0]])]
    assert join(parts) == Answers(["a", "b", "c"], [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    assert join(iter([Answers([1.0]), Answers([2.0])])) == Answers([1.0, 2.0])
    assert join([]) == Answers([])


# --- from a fitted object


class OfTorch:
    """A tensor as PyTorch has them: to be detached before anything else."""

    def __init__(self, values: Any, *, detached: bool = False) -> None:
        self.values, self.detached = values, detached

    def detach(self) -> "OfTorch":
        return OfTorch(self.values, detached=True)

    def tolist(self) -> Any:
        assert self.detached
        return self.values

    def __len__(self) -> int:
        raise AssertionError("it has a faster way")


class OfTensorFlow:
    """A tensor as TensorFlow has them: no list, but an array."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def numpy(self) -> Any:
        return np.array(self.values)


@pytest.mark.parametrize(
    ("returned", "listed"),
    [
        (np.array([1, 2]), [1, 2]),
        (np.float64(3), [3.0]),
        (np.array(3), [3]),
        (None, [None]),
        ("no", ["no"]),
        (b"no", [b"no"]),
        ({"a": 1, "b": 2}, [{"a": 1, "b": 2}]),
        ({"a"}, [{"a"}]),
        ([np.int64(1), (np.float32(0.5), "b")], [1, [0.5, "b"]]),
        ([np.array([1, 2]), np.array([3, 4])], [[1, 2], [3, 4]]),
        (range(3), [0, 1, 2]),
        (iter([1, 2]), [1, 2]),
        (pd.Series(["a", "b"], index=[5, 3]), ["a", "b"]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.array([1, 2], dtype="Int64"), [1, 2]),
        (pd.DataFrame({"a": [1], "b": ["x"]}), [[1, "x"]]),
        (pl.Series([1.5, 2.0]), [1.5, 2.0]),
        (pl.DataFrame({"a": [1, 2], "b": [3, 4]}), [[1, 3], [2, 4]]),
        (csr_matrix([[0, 1], [2, 0]]), [[0, 1], [2, 0]]),
        (OfTorch([[1.0, 2.0]]), [[1.0, 2.0]]),
        ([OfTorch(1.0, detached=True)], [1.0]),
        (OfTensorFlow([1, 2]), [1, 2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_model_returned_becomes_a_list_of_plain_values(returned: Any, listed: list[Any]) -> None:
    found = as_list(returned)
    assert found == listed
    assert repr(found) == repr(listed)  # equality does not tell numpy's numbers from Python's


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, 2.0]),
        np.array([1.5, 2.0], dtype=np.float32),
        np.array([[1.5], [2.0]]),
        pd.Series([1.5, 2.0], index=[7, 3]),
        pd.DataFrame({"y": [1.5, 2.0]}),
        [1.5, 2],
        (1.5, Decimal(2)),
        np.array([1.5, 2], dtype=object),
        pl.Series([1.5, 2.0]),
        csr_matrix([[1.5], [2.0]]),
        OfTorch([1.5, 2.0]),
        [np.float32(1.5), np.int8(2)],
        ([1.5], [2]),
    ],
    ids=lambda values: f"{type(values).__name__}-{getattr(values, 'shape', '')}",
)
def test_numbers_come_in_many_forms(values: Any) -> None:
    found = from_model(values, None, REGRESSION, 2)
    assert found == Answers([1.5, 2.0])
    assert {type(value) for value in found.values} == {float}


def test_labels_become_the_classes_that_callers_know() -> None:
    assert from_model(np.array([2, 0]), None, LABELS, 2) == Answers(["c", "a"])
    assert from_model(np.array([2.0, 0.0]), None, LABELS, 2) == Answers(["c", "a"])
    assert from_model(np.array([[2], [0]]), None, LABELS, 2) == Answers(["c", "a"])
    found = from_model(np.array(["yes"], dtype=object), np.array([[0.25, 0.75]], dtype=np.float32), SHARES, 1)
    assert found == Answers([True], [[0.25, 0.75]])
    assert found.values[0] is True


@pytest.mark.parametrize(
    "values",
    [
        np.array([[1, 0, 1], [0, 0, 0]]),
        np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
        np.array([[True, False, True], [False, False, False]]),
        csr_matrix([[1, 0, 1], [0, 0, 0]]),
        pd.DataFrame({"x": [1, 0], "y": [0, 0], "z": [1, 0]}),
        [[1, 0, 1], (0, 0, 0)],
    ],
    ids=lambda values: f"{type(values).__name__}-{getattr(values, 'dtype', '')}",
)
def test_of_several_labels_those_that_apply_are_answered(values: Any) -> None:
    assert from_model(values, None, SOME, 2) == Answers([["a", "c"], []])


PER_LABEL = [np.array([[0.2, 0.8], [0.9, 0.1]]), np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.75, 0.25], [0, 1]])]
PER_ROW = [[0.8, 0.5, 0.25], [0.1, 0.0, 1.0]]


@pytest.mark.parametrize(
    "scores", [PER_LABEL, tuple(PER_LABEL), np.stack(PER_LABEL), np.array(PER_ROW), PER_ROW, pd.DataFrame(PER_ROW)]
)
def test_probabilities_of_several_labels_come_by_row_or_by_label(scores: Any) -> None:
    given = changed(SOME, scores="probabilities")
    assert from_model([[1, 0, 1], [0, 1, 0]], scores, given, 2) == Answers([["a", "c"], ["b"]], PER_ROW)
    cut = changed(given, rule="threshold", threshold=0.5)
    assert from_model(None, scores, cut, 2) == Answers([["a", "b"], ["c"]], PER_ROW)


def test_as_many_labels_as_rows_are_no_riddle() -> None:
    pair = Output(
        task="multilabel", labels=(0, 1), classes=("a", "b"), scores="probabilities", rule="threshold", threshold=0.5
    )
    by_row = [[0.25, 0.75], [1.0, 0.0]]
    assert from_model(None, np.array(by_row), pair, 2) == Answers([["b"], ["a"]], by_row)
    by_label = [np.array([[0.75, 0.25], [0.0, 1.0]]), np.array([[0.25, 0.75], [1.0, 0.0]])]
    assert from_model(None, by_label, pair, 2) == Answers([["b"], ["a"]], by_row)
    single = Output(
        task="multilabel", labels=(0,), classes=("a",), scores="probabilities", rule="threshold", threshold=0.5
    )
    assert from_model(None, np.array([[0.8], [0.1]]), single, 2) == Answers([["a"], []], [[0.8], [0.1]])


@pytest.mark.parametrize("scores", [[0.5, 0.25], [[0.5], [0.25]], [[0.5, 0.5], [0.75, 0.25]]])
@pytest.mark.parametrize("wrap", [list, np.array, OfTorch])
def test_a_threshold_decides_whatever_predict_would_say(scores: Any, wrap: Callable[[Any], Any]) -> None:
    assert from_model(None, wrap(scores), CUT, 2) == Answers([True, False], [[0.5, 0.5], [0.75, 0.25]])


@pytest.mark.parametrize(("threshold", "answers"), [(-1.0, ["y", "y"]), (0, ["n", "y"]), (0.25, ["n", "n"])])
def test_a_threshold_of_decision_values_is_no_share(threshold: float, answers: list[str]) -> None:
    output = Output(
        task="classification",
        labels=(0, 1),
        classes=("n", "y"),
        scores="decisions",
        rule="threshold",
        threshold=threshold,
    )
    assert from_model(None, np.array([-0.5, 0.0]), output, 2) == Answers(answers, [[-0.5], [0.0]])
    assert from_model(None, np.array([[9.0, -0.5], [-9.0, 0.0]]), output, 2).values == answers


def test_the_largest_score_decides_and_of_equal_ones_the_first() -> None:
    scores = [[-1.0, 5.0, 2.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    assert from_model(None, np.array(scores), LARGEST, 3) == Answers(["b", "a", "b"], scores)
    shares = changed(LARGEST, scores="probabilities")
    assert from_model(None, OfTorch([[0.2, 0.1, 0.7]]), shares, 1) == Answers(["c"], [[0.2, 0.1, 0.7]])


def test_decision_values_are_one_for_each_class_or_one_in_all() -> None:
    several = [[0.5, -1.0, 0.0], [1.0, 2.0, 3.0]]
    assert from_model([0, 2], np.array(several), DECISIONS, 2) == Answers(["a", "c"], several)
    binary = Output(task="outliers", labels=(-1, 1), classes=("odd", "usual"), scores="decisions")
    found = from_model(np.array([1, -1]), np.array([2, -1]), binary, 2)
    assert repr(found) == repr(Answers(["usual", "odd"], [[2.0], [-1.0]]))


@pytest.mark.parametrize("names", [(), ("low", "high")])
@pytest.mark.parametrize("values", [np.array([[1, 2], [3, 4]]), [(1, 2.0), [3, Decimal(4)]], OfTorch([[1, 2], [3, 4]])])
def test_several_numbers_a_row(values: Any, names: tuple[str, ...]) -> None:
    for task in ("regression", "transform"):
        found = from_model(values, None, Output(task=task, width=2, names=names), 2)
        assert repr(found) == repr(Answers([[1.0, 2.0], [3.0, 4.0]]))
    one = Output(task="regression", width=1)
    assert from_model(np.array([[1.5], [2.0]]), None, one, 2) == Answers([[1.5], [2.0]])


OPEN = {
    "integer": [np.array([7, -1]), [np.int8(7), -1], np.array([7, -1], dtype=object), np.array([[7], [-1]])],
    "boolean": [np.array([True, False]), [np.True_, False], pd.Series([True, False], dtype="boolean")],
    "string": [np.array(["é", ""]), [np.str_("é"), ""], pd.Series(["é", ""]), pd.Categorical(["é", ""])],
}
EXPECTED: dict[str, list[Any]] = {"integer": [7, -1], "boolean": [True, False], "string": ["é", ""]}


@pytest.mark.parametrize("kind", OPEN)
def test_labels_that_nobody_can_list_are_of_one_type(kind: Any) -> None:
    output = Output(task="classification", type=kind)
    for values in OPEN[kind]:
        assert repr(from_model(values, None, output, 2)) == repr(Answers(EXPECTED[kind]))
    wide = Output(task="classification", type=kind, width=2)
    assert from_model([EXPECTED[kind]], None, wide, 1) == Answers([EXPECTED[kind]])
    others = [values for other in OPEN if other != kind for values in OPEN[other]]
    for values in ([1.0, 2.0], [None, None], [[1, 2], [3, 4]], *others):
        with pytest.raises(PredictionFailed, match=rf"^The model answered something that is no {kind}\.$"):
            from_model(values, None, output, 2)


def test_probabilities_that_nobody_asked_for_are_left_out() -> None:
    assert from_model([1], [[0.2, 0.3, 0.5]], LABELS, 1) == Answers(["b"])


# --- many rows at once


@pytest.mark.parametrize(
    ("values", "scores", "output"),
    [
        (np.array([1.5, -2.0]), None, REGRESSION),
        (np.array([[1.5], [-2.0]], dtype=np.float32), None, REGRESSION),
        (np.array([3, 4]), None, REGRESSION),
        (np.array([2, 0]), None, LABELS),
        (np.array(["yes", "no"], dtype=object), np.array([[0.25, 0.75], [1.0, 0.0]], dtype=np.float32), SHARES),
        (None, np.array([[0.25, 0.75], [1.0, 0.0]]), CUT),
        (None, np.array([0.25, 0.5]), CUT),
        (None, np.array([[-1.0, 5.0, 5.0], [0.0, 0.0, 0.0]]), LARGEST),
        (np.array([0, 2]), np.array([[0.5, -1.0, 0.0], [1.0, 2.0, 3.0]]), DECISIONS),
        (np.array([[1, 2], [3, 4]]), None, Output(task="regression", width=2)),
        (np.array([[1, 0, 1], [0, 0, 0]]), None, SOME),
        (np.array([7, -1]), None, Output(task="classification", type="integer")),
    ],
)
def test_many_rows_are_answered_as_few_are(values: Any, scores: Any, output: Output) -> None:
    few = from_model(values, scores, output, 2)
    many_values, many_scores = (None if given is None else np.concatenate([given] * 50) for given in (values, scores))
    found = from_model(many_values, many_scores, output, 100)
    assert found == few.take([0, 1] * 50)
    assert repr(found) == repr(few.take([0, 1] * 50))  # equality does not tell 1 from 1.0
    assert found.take([1, 0]) == few.take([1, 0])


@pytest.mark.parametrize(
    ("values", "scores", "output", "says"),
    [
        (np.full(100, np.nan), None, REGRESSION, "a number that is not finite"),
        (np.ones(99), None, REGRESSION, "gave 99 answers for 100 rows"),
        (np.full(100, 7), None, LABELS, "a class that its signature does not have"),
        (np.full(100, "no"), np.full((100, 3), 0.5), SHARES, "one number per row and class"),
        (None, np.full((100, 2), np.inf), CUT, "a number that is not finite"),
        (np.ones((100, 3)), None, Output(task="regression", width=2), "did not give 2 values for each row"),
    ],
)
def test_one_wrong_answer_among_many_is_found(values: Any, scores: Any, output: Output, says: str) -> None:
    with pytest.raises(PredictionFailed, match=says):
        from_model(values, scores, output, 100)
