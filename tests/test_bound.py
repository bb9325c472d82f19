"""contract.formats.bound: one row of numbers is answered as the graph answers it, to the last digit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from contract.answers import Columns, difference
from contract.formats import onnx
from contract.formats.bound import normalised
from contract.formats.chain import Chain
from contract.formats.graph import Graph, _shares
from tests.fitted import CONVERTIBLE, Case, case, described

_rng = np.random.default_rng(0)
ROWS = _rng.normal(size=(200, 4)).round(3)
SUM = ROWS.sum(axis=1)


def several(number: int) -> Any:
    return np.digitize(SUM, np.quantile(SUM, np.linspace(0, 1, number + 1)[1:-1]))


CASES: dict[str, Case] = {
    "two classes": case(LogisticRegression(), ROWS, several(2)),
    "three classes": case(RandomForestClassifier(100, random_state=0), ROWS, several(3)),
    "seven classes": case(make_pipeline(StandardScaler(), GaussianNB()), ROWS, several(7)),
    "a line": case(LinearRegression(), ROWS, SUM),
    "a forest": case(RandomForestRegressor(50, random_state=0), ROWS, SUM),
}
OTHERS: dict[str, Case] = {
    "eight classes, which numpy adds in another order": case(DecisionTreeClassifier(), ROWS, several(8)),
    "classes without probabilities": case(RidgeClassifier(), ROWS, several(3)),
    "classes that are texts": case(GaussianNB(), ROWS, np.array(["a", "b"])[several(2)]),
}


def graph(made: Case, dtype: onnx.Dtype) -> Graph:
    content, plan = onnx.convert(Chain.around(made.fitted), made.signature, dtype)
    return onnx.load(content, described(made.signature, plan))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(kind, dtype) for kind in CASES for dtype in ("float32", "float64") if "forest" not in kind]
    + [("three classes", "float32"), ("a forest", "float32")],
)
def test_a_row_is_answered_as_the_graph_answers_it(kind: str, dtype: onnx.Dtype) -> None:
    made = CASES[kind]
    found = graph(made, dtype)
    assert found.one is not None
    together = found.answer(made.columns)
    for i, row in enumerate(zip(*made.columns.values(), strict=True)):
        alone = found.one(row)
        assert alone == found.answer({name: [value] for name, value in zip(made.columns, row, strict=True)})
        assert alone is not None
        # whether a row is multiplied as a vector or within a matrix shows in the last digit
        assert difference(alone, together.take([i]), relative=not made.signature.output.classes) < 1e-5


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_of_another_form_is_left_to_the_graph(kind: str) -> None:
    assert graph(OTHERS[kind], "float32").one is None


def test_columns_that_are_no_numbers_are_left_to_the_graph() -> None:
    assert graph(CONVERTIBLE["mixed columns"](), "float32").one is None


def test_a_gap_is_no_number_to_the_graph_either() -> None:
    made = case(DecisionTreeClassifier(), np.where(ROWS > 1.5, np.nan, ROWS), several(2))
    found = graph(made, "float32")
    assert found.one is not None
    row: list[float | None] = [None, 0.5, None, -0.5]
    columns: Columns = {name: [value] for name, value in zip(made.signature.names, row, strict=True)}
    assert found.one(row) == found.answer(columns)


def test_an_answer_that_is_not_finite_is_none() -> None:
    found = graph(CASES["a line"], "float64")
    assert found.one is not None
    assert found.one([1e308, 1e308, 1e308, 1e308]) is None
    assert found.one([1.0, 1.0, 1.0, 1.0]) == found.answer({f"x{i}": [1.0] for i in range(4)})


def test_no_share_is_less_than_nothing_or_more_than_all() -> None:
    assert normalised([-1.1920929e-07, 1.0000001]) == [0.0, 1.0]
    assert _shares(np.array([[-1.1920929e-07, 1.0000001]], dtype=np.float32)).tolist() == [[0.0, 1.0]]


def test_shares_are_what_a_hundred_trees_say() -> None:
    assert normalised(np.array([0.0, 0.01, 0.9899993], dtype=np.float32).tolist()) == [0.0, 0.01, 0.99]
    assert math.isclose(sum(normalised([0.3, 0.3, 0.3])), 1, abs_tol=1e-6)
