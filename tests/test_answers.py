"""contract.answers: what a model says, as plain values."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contract.answers import Answers, count, difference, from_model
from contract.errors import PredictionFailed
from contract.signature import Output

REGRESSION = Output(task="regression")
LABELS = Output(task="classification", labels=(0, 1, 2), classes=("a", "b", "c"))
SHARES = Output(task="classification", labels=("no", "yes"), classes=(False, True), probabilities=True)


def test_rows_are_counted() -> None:
    assert count({"x": [1, 2, 3], "y": [None, None, None]}) == 3
    assert count({"x": []}) == 0


def test_some_rows_are_taken() -> None:
    answers = Answers(["a", "b", "c"], [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    assert answers.take([2, 0]) == Answers(["c", "a"], [[0.0, 1.0], [1.0, 0.0]])
    assert answers.take([]) == Answers([], [])
    assert Answers([1.0, 2.0]).take(range(1, 2)) == Answers([2.0])


# --- from a fitted object


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


def test_probabilities_that_nobody_asked_for_are_left_out() -> None:
    assert from_model([1], [[0.2, 0.3, 0.5]], LABELS, 1) == Answers(["b"])


@pytest.mark.parametrize(
    ("values", "probabilities", "output", "says"),
    [
        (np.array([1.0]), None, REGRESSION, "The model gave 1 answers for 2 rows."),
        (np.array([1.0, 2.0, 3.0]), None, REGRESSION, "The model gave 3 answers for 2 rows."),
        (np.array(1.0), None, REGRESSION, "The model gave 1 answers for 2 rows."),
        (np.array([[1.0, 2.0]]), None, REGRESSION, "The model gave 1 answers for 2 rows."),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), None, REGRESSION, "The model answered something that is no number."),
        (["1.0", "2.0"], None, REGRESSION, "The model answered something that is no number."),
        ([None, 1.0], None, REGRESSION, "The model answered something that is no number."),
        ([1j, 1.0], None, REGRESSION, "The model answered something that is no number."),
        ([10**400, 1.0], None, REGRESSION, "The model answered something that is no number."),
        ([math.nan, 1.0], None, REGRESSION, "The model answered a number that is not finite."),
        ([1.0, -math.inf], None, REGRESSION, "The model answered a number that is not finite."),
        ([0, 3], None, LABELS, "The model answered a class that its signature does not have."),
        ([0, "a"], None, LABELS, "The model answered a class that its signature does not have."),
        ([0, None], None, LABELS, "The model answered a class that its signature does not have."),
        ([0, [1]], None, LABELS, "The model answered a class that its signature does not have."),
        (["no", "no"], [[0.5, 0.5]], SHARES, "The model's probabilities do not have one number per row and class."),
        (["no", "no"], [[1.0], [1.0]], SHARES, "The model's probabilities do not have one number per row and class."),
        (["no", "no"], [[0.5, 0.5], [math.nan, 0.5]], SHARES, "The model answered a number that is not finite."),
        (["no", "no"], [[0.5, 0.5], ["a", 0.5]], SHARES, "The model answered something that is no number."),
    ],
)
def test_what_is_no_answer_is_refused(values: Any, probabilities: Any, output: Output, says: str) -> None:
    with pytest.raises(PredictionFailed) as refused:
        from_model(values, probabilities, output, 2)
    assert str(refused.value) == says


# --- how far two answers are apart


@pytest.mark.parametrize(
    ("left", "right", "relative", "apart"),
    [
        (Answers([1.0, 2.0]), Answers([1.0, 2.0]), True, 0.0),
        (Answers([]), Answers([]), True, 0.0),
        (Answers([1.0, 2.5]), Answers([1.0, 2.0]), True, 0.25),
        (Answers([0.5]), Answers([0.25]), True, 0.25),  # below one the plain difference counts
        (Answers([1100.0]), Answers([1000.0]), True, 0.1),
        (Answers([-1100.0]), Answers([-1000.0]), True, 0.1),
        (Answers([1.0]), Answers([1.0, 2.0]), True, math.inf),
        (Answers([1e308]), Answers([-1e308]), True, math.inf),
        (Answers(["a"]), Answers(["a"]), False, 0.0),
        (Answers(["a"]), Answers(["b"]), False, math.inf),
        (Answers(["a"]), Answers(["a", "a"]), False, math.inf),
        (Answers(["a"], [[0.5, 0.5]]), Answers(["a"]), False, math.inf),
        (Answers(["a"], [[0.5, 0.5]]), Answers(["a"], [[0.25, 0.75]]), False, 0.25),
        (Answers(["a", "a"], [[1.0, 0.0], [0.5, 0.5]]), Answers(["a", "a"], [[1.0, 0.0], [0.5, 0.75]]), False, 0.25),
    ],
)
def test_the_largest_difference_counts(left: Answers, right: Answers, relative: bool, apart: float) -> None:
    assert difference(left, right, relative=relative) == pytest.approx(apart)
