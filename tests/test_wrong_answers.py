"""contract.answers: what is no answer for the rows that were asked, whoever says it."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contract.answers import from_model
from contract.errors import PredictionFailed
from contract.signature import Output

REGRESSION = Output(task="regression")
LABELS = Output(task="classification", labels=(0, 1, 2), classes=("a", "b", "c"))
SHARES = Output(task="classification", labels=("no", "yes"), classes=(False, True), scores="probabilities")
DECISIONS = Output(task="classification", labels=(0, 1, 2), classes=("a", "b", "c"), scores="decisions")
SOME = Output(task="multilabel", labels=(0, 1, 2), classes=("a", "b", "c"))
PAIR = Output(task="regression", width=2)
PER_LABEL = [np.full((2, 2), 0.5)] * 3
NO_CLASS = "The model answered a class that its signature does not have."
NOT_FINITE = "The model answered a number that is not finite."
NO_PAIR = "The model did not give 2 values for each row."
NO_FLAGS = "The model did not say of each label whether it applies."
NO_NUMBER = "The model answered something that is no number."
NO_SHARES = "The model's probabilities do not have one number per row and class."
NO_DECISIONS = "The model's decision values do not have one number per row and class."


def changed(output: Output, **changes: Any) -> Output:
    return Output.model_validate(output.model_dump() | changes)


CUT = changed(SHARES, rule="threshold", threshold=0.5)
LARGEST = changed(DECISIONS, rule="largest")


@pytest.mark.parametrize(
    ("values", "probabilities", "output", "says"),
    [
        (np.array([1.0]), None, REGRESSION, "The model gave 1 answers for 2 rows."),
        (np.array([1.0, 2.0, 3.0]), None, REGRESSION, "The model gave 3 answers for 2 rows."),
        (np.array(1.0), None, REGRESSION, "The model gave 1 answers for 2 rows."),
        (np.array([[1.0, 2.0]]), None, REGRESSION, "The model gave 1 answers for 2 rows."),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), None, REGRESSION, NO_NUMBER),
        (["1.0", "2.0"], None, REGRESSION, NO_NUMBER),
        ([None, 1.0], None, REGRESSION, NO_NUMBER),
        ([1j, 1.0], None, REGRESSION, NO_NUMBER),
        ([10**400, 1.0], None, REGRESSION, NO_NUMBER),
        ([math.nan, 1.0], None, REGRESSION, NOT_FINITE),
        ([1.0, -math.inf], None, REGRESSION, NOT_FINITE),
        ([0, 3], None, LABELS, NO_CLASS),
        ([0, "a"], None, LABELS, NO_CLASS),
        ([0, None], None, LABELS, NO_CLASS),
        ([0, [1, 2]], None, LABELS, NO_CLASS),
        ([0, {1}], None, LABELS, NO_CLASS),
        ("no", None, changed(SHARES, scores=""), "The model gave 1 answers for 2 rows."),
        ({"no": 1, "yes": 2}, None, changed(SHARES, scores=""), "The model gave 1 answers for 2 rows."),
        (b"no", None, REGRESSION, "The model gave 1 answers for 2 rows."),
        (5, None, REGRESSION, "The model gave 1 answers for 2 rows."),
        (pd.Series([1, None], dtype="Int64"), None, REGRESSION, NOT_FINITE),
        (np.ma.array([1.0, 2.0], mask=[False, True]), None, REGRESSION, NO_NUMBER),
        (np.array(["2026-01-01"] * 2, dtype="datetime64[D]"), None, REGRESSION, NO_NUMBER),
        ([1.0, 2.0], None, PAIR, NO_PAIR),
        ([[1.0, 2.0], [3.0]], None, PAIR, NO_PAIR),
        (np.ones((2, 3)), None, PAIR, NO_PAIR),
        (np.ones((1, 2)), None, PAIR, "The model gave 1 answers for 2 rows."),
        ([[1.0, 2.0], [3.0, math.inf]], None, PAIR, NOT_FINITE),
        ([[1.0, 2.0], [3.0, "4"]], None, PAIR, NO_NUMBER),
        ([[1.0, 2.0], [3.0, [4.0]]], None, PAIR, NO_NUMBER),
        ([1, 0], None, SOME, NO_FLAGS),
        (np.ones((2, 2)), None, SOME, NO_FLAGS),
        (np.full((2, 3), 0.5), None, SOME, NO_FLAGS),
        ([[1, 0, 2], [0, 0, 0]], None, SOME, NO_FLAGS),
        ([[1, 0, None], [0, 0, 0]], None, SOME, NO_FLAGS),
        (np.ones((2, 3)), PER_LABEL[:2], changed(SOME, scores="probabilities"), NO_SHARES),
        (np.ones((2, 3)), [*PER_LABEL[:2], np.ones((3, 2))], changed(SOME, scores="probabilities"), NO_SHARES),
        (np.ones((2, 3)), [*PER_LABEL[:2], np.ones((2, 1))], changed(SOME, scores="probabilities"), NO_SHARES),
        (np.ones((2, 3)), [0.5, 0.5], changed(SOME, scores="probabilities"), NO_SHARES),
        (np.ones((2, 3)), [0.5, 0.5], changed(SOME, scores="decisions"), NO_DECISIONS),
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]], DECISIONS, NO_DECISIONS),
        ([0, 1], None, DECISIONS, NO_DECISIONS),
        (None, [1.0, 2.0], LARGEST, NO_DECISIONS),
        (None, [[1.0], [2.0]], LARGEST, NO_DECISIONS),
        (None, np.full((2, 3), 0.5), CUT, NO_SHARES),
        (None, [0.5, "a"], CUT, NO_NUMBER),
        (None, None, CUT, NO_NUMBER),
        (None, [0.5, math.nan], CUT, NOT_FINITE),
        (None, [0.5], CUT, NO_SHARES),
        (["no", "no"], [[0.5, 0.5]], SHARES, NO_SHARES),
        (["no", "no"], [[1.0], [1.0]], SHARES, NO_SHARES),
        (["no", "no"], [[0.5, 0.5], [math.nan, 0.5]], SHARES, NOT_FINITE),
        (["no", "no"], [[0.5, 0.5], ["a", 0.5]], SHARES, NO_NUMBER),
    ],
)
def test_what_is_no_answer_is_refused(values: Any, probabilities: Any, output: Output, says: str) -> None:
    with pytest.raises(PredictionFailed) as refused:
        from_model(values, probabilities, output, 2)
    assert str(refused.value) == says
