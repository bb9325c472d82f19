"""contract.formats.chain: steps around a model answer as one object, whatever they are and however columns stand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelBinarizer,
    LabelEncoder,
    MinMaxScaler,
    MultiLabelBinarizer,
    StandardScaler,
)

from contract.answers import Columns
from contract.errors import PredictionFailed
from contract.formats.chain import Chain, apply, decode
from contract.formats.joblib import FittedObject
from contract.signature import Output
from tests.samples import REGRESSION

_rng = np.random.default_rng(0)
FRAME = pd.DataFrame(_rng.normal(size=(80, 3)) * [1, 20, 400], columns=["a b", "c", "d"])
TARGETS = FRAME["a b"] * 300 + FRAME["c"] * 2 + FRAME["d"] * 0.1
NUMBER = Output(task="regression")
SHARES = Output(task="classification", labels=(0, 1), classes=("n", "y"), scores="probabilities")
DECISIONS = Output(task="classification", labels=(0, 1), classes=("n", "y"), scores="decisions")


class First:
    """A model that answers its first column."""

    def predict(self, rows: Any) -> Any:
        return np.asarray(rows)[:, 0]


class Doubling:
    def __init__(self, factor: int = 2) -> None:
        self.factor = factor

    def prepare(self, rows: Any) -> Any:
        return np.asarray(rows) * self.factor

    def __call__(self, rows: Any) -> Any:
        return self.prepare(rows)


# --- what is a chain


def test_a_fitted_object_is_a_chain_of_one() -> None:
    model, scaler, chain = First(), StandardScaler(), Chain([abs], First())
    assert Chain.around(chain) is chain
    assert (Chain.around(model).before, Chain.around(model).model) == ((), model)
    assert (Chain.around(scaler).before, Chain.around(scaler).model) == ((scaler,), None)
    assert (Chain.around(abs).before, Chain.around(abs).model) == ((abs,), None)
    assert Chain([abs], model, [round]).steps == [abs, model, round]
    assert Chain([abs]).steps == [abs]


def test_a_chain_takes_rows_through_all_steps_in_order() -> None:
    said = []

    def noted(name: str) -> Callable[[Any], Any]:
        def step(values: Any) -> Any:
            said.append(name)
            return values * 2 + len(said)

        return step

    chain = Chain([noted("a"), noted("b")], First(), [noted("c")])
    values, scores = chain.ask(np.array([[1.0], [10.0]]), NUMBER)
    assert said == ["a", "b", "c"]
    assert values.tolist() == [((1 * 2 + 1) * 2 + 2) * 2 + 3, ((10 * 2 + 1) * 2 + 2) * 2 + 3]
    assert scores is None


def test_without_a_model_the_last_step_answers() -> None:
    scaler = StandardScaler().fit([[0.0], [2.0]])
    assert Chain([scaler]).values(np.array([[0.0], [2.0]]))[:, 0].tolist() == [0.0, 2.0]
    assert Chain([scaler]).ask(np.array([[0.0], [2.0]]), NUMBER)[0][:, 0].tolist() == [-1.0, 1.0]
    assert Chain([len]).ask([1, 2, 3], NUMBER) == (3, None)


# --- steps before the model


@pytest.mark.parametrize(
    "step", [Doubling().prepare, Doubling(), FunctionTransformer(lambda rows: rows * 2), lambda rows: rows * 2]
)
def test_functions_methods_and_transformers_prepare_rows(step: Any) -> None:
    assert apply(step, np.array([[1.0, 2.0]])).tolist() == [[2.0, 4.0]]


def test_what_has_transform_and_can_be_called_transforms() -> None:
    class Both(Doubling):
        def transform(self, rows: Any) -> Any:
            return "transformed"

        def __call__(self, rows: Any) -> Any:
            return "called"

    class Neither:
        transform = None

        def __call__(self, rows: Any) -> Any:
            return "called"

    assert apply(Both(), []) == "transformed"
    assert apply(Neither(), []) == "called"
    assert apply(pd.DataFrame, {"a": [1]}).shape == (1, 1)  # a class makes its object, though it has `transform`


def test_a_step_that_changes_its_rows_harms_nobody() -> None:
    def spoil(rows: Any) -> Any:
        rows["x0"] *= 0
        rows["new"] = 1
        return rows

    signature = REGRESSION.model_copy(update={"container": "frame"})
    columns: Columns = {"x0": [1.0, 2.0], "x1": [5.0, 6.0]}
    fitted = FittedObject(Chain([spoil], LinearRegression().fit([[0, 0, 1], [0, 1, 1]], [0, 1])), signature)
    assert fitted.answer(columns).values == pytest.approx([5.0, 6.0])
    assert fitted.answer(columns).values == pytest.approx([5.0, 6.0])
    assert columns == {"x0": [1.0, 2.0], "x1": [5.0, 6.0]}


@pytest.mark.parametrize("make", [pd.DataFrame, lambda rows: rows["a"].to_numpy()])
def test_scores_are_of_the_rows_as_they_were_before_predict_changed_them(make: Callable[[Any], Any]) -> None:
    class Spoils:
        def predict(self, rows: Any) -> Any:
            rows *= 0
            return np.zeros(len(rows))

        def predict_proba(self, rows: Any) -> Any:
            return np.c_[1 - np.asarray(rows).ravel(), np.asarray(rows).ravel()]

    rows = make(pd.DataFrame({"a": [0.25, 0.75]}))
    assert Chain.around(Spoils()).ask(rows, SHARES)[1].tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert np.asarray(rows).ravel().tolist() == [0.25, 0.75]


# --- scores


def test_scores_come_from_the_method_that_the_output_names() -> None:
    rows = FRAME.to_numpy()
    model = LogisticRegression(max_iter=5000).fit(rows, TARGETS > 0)
    chain = Chain.around(model)
    assert chain.ask(rows, SHARES)[1].tolist() == model.predict_proba(rows).tolist()
    assert chain.ask(rows, DECISIONS)[1].tolist() == model.decision_function(rows).tolist()
    assert chain.ask(rows, SHARES.model_copy(update={"scores": ""}))[1] is None


def test_where_a_rule_decides_predict_is_not_asked_for_labels() -> None:
    class Loud(LogisticRegression):  # type: ignore[misc]
        def predict(self, rows: Any) -> Any:
            raise AssertionError

    model = Loud(max_iter=5000).fit(FRAME.to_numpy(), TARGETS > 0)
    cut = Output.model_validate(SHARES.model_dump() | {"rule": "threshold", "threshold": 0.9})
    values, scores = Chain.around(model).ask(FRAME.to_numpy(), cut)
    assert values is None
    assert scores.shape == (80, 2)


def test_what_has_only_predict_gives_its_scores_by_that() -> None:
    cut = Output.model_validate(SHARES.model_dump() | {"rule": "threshold", "threshold": 0.5})
    rows = np.array([[0.25], [0.75]])
    assert Chain.around(First()).ask(rows, cut)[1].tolist() == [0.25, 0.75]
    assert Chain([lambda rows: rows[:, 0]]).ask(rows, cut)[1].tolist() == [0.25, 0.75]
    # the model's own probabilities are not those of what decodes its answers
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    decoded = Chain([], model, [lambda values: values * 0.5]).ask(rows, cut)[1]
    assert decoded.tolist() == (model.predict(rows) * 0.5).tolist()


# --- steps after the model


@pytest.mark.parametrize("values", [np.array([1.0, -1.0]), [1.0, -1.0], np.array([[1.0], [-1.0]])])
def test_a_scaler_of_one_column_gives_answers_their_scale_back(values: Any) -> None:
    targets = np.array([[10.0], [20.0], [60.0]])
    mean, spread = 30.0, math.sqrt((20**2 + 10**2 + 30**2) / 3)
    found = decode(StandardScaler().fit(targets), values)
    assert found.shape == np.shape(values)
    assert found.ravel().tolist() == pytest.approx([mean + spread, mean - spread])


def test_what_encoded_targets_decodes_answers() -> None:
    encoder = LabelEncoder().fit(["b", "a"])
    assert decode(encoder, np.array([1, 0])).tolist() == ["b", "a"]
    binary, several = LabelBinarizer().fit(["no", "yes"]), LabelBinarizer().fit(["a", "b", "c"])
    for values in (np.array([[1], [0]]), np.array([1, 0]), np.array([[0.9], [0.1]])):
        assert decode(binary, values).tolist() == ["yes", "no"]
    assert decode(several, np.array([[0.1, 0.2, 0.7], [0, 1, 0]])).tolist() == ["c", "b"]
    assert decode(MultiLabelBinarizer().fit([["x"], ["y"]]), np.array([[1, 1], [0, 0]])) == [("x", "y"), ()]
    assert decode(MinMaxScaler().fit([[0, 0], [1, 10]]), np.array([[0.5, 0.5]])).tolist() == [[0.5, 5.0]]
    logarithm = FunctionTransformer(np.log1p, np.expm1)
    assert decode(logarithm, np.array([0.0, 1.0])).tolist() == pytest.approx([0.0, math.e - 1])


@pytest.mark.parametrize("values", [np.array([1, 0]), [1, 0], pd.Series([1, 0]), np.array([1.0, 0.0])])
def test_a_mapping_or_a_function_names_the_answers(values: Any) -> None:
    assert decode({0: "no", 1: "yes"}, values) == ["yes", "no"]
    assert decode(lambda found: [f"<{value:.0f}>" for value in found], values) == ["<1>", "<0>"]


def test_a_mapping_that_does_not_know_an_answer_has_none() -> None:
    fitted = FittedObject(Chain([], First(), [{1.0: "yes"}]), REGRESSION)
    with pytest.raises(PredictionFailed, match=r"^The model raised KeyError on these rows\.$"):
        fitted.answer({"x0": [1.0, 2.0], "x1": [0.0, 0.0]})


def test_the_bound_inverse_of_a_scaler_takes_answers_as_the_scaler_itself() -> None:
    scaler = StandardScaler().fit([[1.0], [3.0]])
    assert decode(scaler.inverse_transform, [0.0, 1.0]).tolist() == decode(scaler, [0.0, 1.0]).tolist() == [2.0, 3.0]
