"""What a signature says of the answers: from what the model is, what it said, and the names given for its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import Birch, KMeans, MeanShift
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from contract.formats.chain import Chain
from contract.signature import Output
from pipeline.exporting import asking, chains, intake, outputs

_rng = np.random.default_rng(0)
ROWS = pd.DataFrame(_rng.normal(size=(40, 3)), columns=["a", "b", "c"])
YES = (ROWS.a > 0).astype(int)
THREE = np.select([ROWS.a < -0.5, ROWS.a < 0.5], [0, 1], 2)
WORDS = np.array(["low", "mid", "high"])[THREE]
BOTH = np.c_[YES, ROWS.b > 0].astype(int)


def infer(model: Any, rows: Any = ROWS, **given: Any) -> Output:
    chain = Chain.around(chains.assemble(model, {}))
    said = asking.ask(chain, intake.read(rows, "inputs"))
    chain, decoded = chains.fold_decoding(chain)
    if decoded is not None:
        said, given = asking.ask(chain, intake.read(rows, "inputs")), {"classes": decoded} | given
    return outputs.infer_output(chain, said, **given)


def encoder(*names: Any) -> Any:
    return LabelEncoder().fit(list(names))


# --- by the kind of model


def logistic(labels: Any) -> Any:
    return LogisticRegression().fit(ROWS, labels)


def one_class_of_four(**more: Any) -> Any:
    return SVC(**more).fit(ROWS, pd.qcut(ROWS.a, 4, labels=False))


SHARES: dict[str, Any] = {"scores": "probabilities"}
DECISIONS: dict[str, Any] = {"scores": "decisions"}


def same(*labels: Any) -> dict[str, Any]:
    return {"labels": labels, "classes": labels}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (logistic(WORDS), {"task": "classification", **same("high", "low", "mid"), **SHARES}),
        (logistic(ROWS.a > 0), {"task": "classification", **same(False, True), **SHARES}),
        (
            DecisionTreeClassifier().fit(ROWS, THREE * 1.0),
            {"task": "classification", **same(0.0, 1.0, 2.0), **SHARES},
        ),
        (DecisionTreeClassifier().fit(ROWS, ["one"] * 40), {"task": "classification", **same("one"), **SHARES}),
        (LinearSVC().fit(ROWS, YES), {"task": "classification", **same(0, 1), **DECISIONS}),
        (RidgeClassifier().fit(ROWS, WORDS), {"task": "classification", **same("high", "low", "mid"), **DECISIONS}),
        (one_class_of_four(), {"task": "classification", **same(0, 1, 2, 3), **DECISIONS}),
        (one_class_of_four(decision_function_shape="ovo"), {"task": "classification", **same(0, 1, 2, 3)}),
        (
            VotingClassifier([("a", LogisticRegression())], voting="hard").fit(ROWS, YES),
            {"task": "classification", **same(0, 1)},
        ),
        # several labels a row
        (RandomForestClassifier(3).fit(ROWS, BOTH), {"task": "multilabel", **same(0, 1), **SHARES}),
        (
            OneVsRestClassifier(LogisticRegression()).fit(ROWS, BOTH),
            {"task": "multilabel", **same(0, 1), **SHARES},
        ),
        (RidgeClassifier().fit(ROWS, BOTH), {"task": "multilabel", **same(0, 1), **DECISIONS}),
        # several classes a row
        (
            MultiOutputClassifier(LogisticRegression()).fit(ROWS, np.c_[WORDS, WORDS]),
            {"task": "classification", "type": "string", "width": 2},
        ),
        (
            MultiOutputClassifier(LogisticRegression()).fit(ROWS, np.c_[THREE, THREE]),
            {"task": "classification", "type": "integer", "width": 2},
        ),
        # numbers
        (Ridge().fit(ROWS, ROWS.a), {"task": "regression"}),
        (Ridge().fit(ROWS, ROWS[["a"]]), {"task": "regression"}),
        (MultiOutputRegressor(Ridge()).fit(ROWS, ROWS[["a", "b"]]), {"task": "regression", "width": 2}),
        (PCA(2).fit(ROWS), {"task": "transform", "width": 2}),
        ([StandardScaler().fit(ROWS), PCA(2).fit(ROWS)], {"task": "transform", "width": 2}),
        # groups
        (KMeans(3, n_init=1).fit(ROWS), {"task": "clustering", **same(0, 1, 2)}),
        (GaussianMixture(3).fit(ROWS), {"task": "clustering", **same(0, 1, 2), **SHARES}),
        (Birch(n_clusters=3).fit(ROWS), {"task": "clustering", "type": "integer"}),
        # outliers
        (IsolationForest(n_estimators=9).fit(ROWS), {"task": "outliers", **same(-1, 1), **DECISIONS}),
        (OneClassSVM().fit(ROWS), {"task": "outliers", **same(-1, 1), **DECISIONS}),
        # functions
        (lambda rows: rows.a * 2, {"task": "regression"}),
        (lambda rows: rows[["a"]].to_numpy(), {"task": "regression"}),
        (lambda rows: rows[["a", "b"]].to_numpy().tolist(), {"task": "regression", "width": 2}),
        (lambda rows: (rows.a > 0).astype(int), {"task": "regression"}),
        (lambda rows: rows.a > 0, {"task": "classification", "type": "boolean"}),
        (lambda rows: np.where(rows.a > 0, "up", "down"), {"task": "classification", "type": "string"}),
        (lambda rows: rows[["a", "b"]] > 0, {"task": "classification", "type": "boolean", "width": 2}),
        (lambda rows: [["x", "y"]] * len(rows), {"task": "classification", "type": "string", "width": 2}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict) else value["task"],
)
def test_the_output_is_what_the_model_answers(model: Any, expected: dict[str, Any]) -> None:
    output = infer(model)
    assert output == Output(**expected)
    assert [type(label) for label in output.labels] == [type(label) for label in expected.get("labels", ())]
    assert Output.model_validate_json(output.model_dump_json()) == output


def test_what_the_rows_given_do_not_show_is_known_of_the_model() -> None:
    assert infer(IsolationForest(n_estimators=9).fit(ROWS), rows=ROWS[:1]).labels == (-1, 1)
    assert infer(KMeans(3, n_init=1).fit(ROWS), rows=ROWS[:1]).labels == (0, 1, 2)
    centres = MeanShift().fit(ROWS)
    assert infer(centres, rows=ROWS[:1]).labels == tuple(range(len(centres.cluster_centers_)))
    several = MultiOutputClassifier(DecisionTreeClassifier()).fit(ROWS, np.c_[THREE, YES])
    assert infer(several, rows=ROWS[THREE < 2]) == Output(task="classification", type="integer", width=2)


def test_whole_numbers_of_a_function_are_classes_where_the_targets_say_so() -> None:
    def function(rows: Any) -> Any:
        return (rows.a > 0).astype(int)

    assert infer(function, targets=YES) == Output(task="classification", type="integer")
    assert infer(function, targets=YES * 0) == Output(task="regression")
    assert infer(function, targets=YES * 1.5) == Output(task="regression")
    assert infer(lambda rows: rows.a.round().astype(int), targets=range(-20, 20)) == Output(task="regression")


def test_several_numbers_and_several_labels_are_called_as_the_targets_are() -> None:
    numbers = ROWS[["a", "b"]].add_prefix("next ")
    assert infer(Ridge().fit(ROWS, numbers), targets=numbers).names == ("next a", "next b")
    assert infer(Ridge().fit(ROWS, numbers), targets=numbers.to_numpy()).names == ()
    assert infer(Ridge().fit(ROWS, numbers), targets=numbers.iloc[:, :1]).names == ()
    labels = pd.DataFrame(BOTH, columns=["up", "wide"])
    found = infer(RandomForestClassifier(3).fit(ROWS, labels), targets=labels)
    assert (found.labels, found.classes) == ((0, 1), ("up", "wide"))


# --- a threshold


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        (logistic(YES), {"threshold": 0.2}, {**same(0, 1), **SHARES, "threshold": 0.2}),
        (logistic(YES), {"threshold": np.float32(0.5)}, {**same(0, 1), **SHARES, "threshold": 0.5}),
        (
            logistic(YES),
            {"threshold": 1, "classes": ["no", "yes"]},
            {"labels": (0, 1), "classes": ("no", "yes"), **SHARES, "threshold": 1.0},
        ),
        (LinearSVC().fit(ROWS, YES), {"threshold": -0.5}, {**same(0, 1), **DECISIONS, "threshold": -0.5}),
        (
            lambda rows: 1 / (1 + np.exp(-rows.a)),
            {"threshold": 0.4, "classes": ["no", "yes"]},
            {"labels": (0, 1), "classes": ("no", "yes"), **SHARES, "threshold": 0.4},
        ),
        (
            lambda rows: rows.a,
            {"threshold": 0, "classes": ["no", "yes"]},
            {"labels": (0, 1), "classes": ("no", "yes"), **DECISIONS, "threshold": 0.0},
        ),
        (
            RandomForestClassifier(3).fit(ROWS, BOTH),
            {"threshold": 0.3},
            {"task": "multilabel", **same(0, 1), **SHARES, "threshold": 0.3},
        ),
    ],
)
def test_with_a_threshold_it_decides(model: Any, given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert infer(model, **given) == Output(**{"task": "classification", "rule": "threshold"} | expected)


# --- answers decoded


@pytest.mark.parametrize(
    "decode", [encoder("x", "y", "z"), {0: "x", 1: "y", 2: "z"}, lambda labels: np.array(["x", "y", "z"])[labels]]
)
def test_steps_that_only_rename_labels_leave_the_probabilities(decode: Any) -> None:
    output = infer([logistic(THREE), decode])
    assert output == Output(task="classification", labels=(0, 1, 2), classes=("x", "y", "z"), scores="probabilities")


@pytest.mark.parametrize(
    ("decode", "expected"),
    [
        ({0: "x", 1: "y", 2: "y"}, {"type": "string"}),
        (lambda labels: np.where(labels > labels.min(), "above", "least"), {"type": "string"}),
        (lambda labels: labels > 1, {"type": "boolean"}),
    ],
    ids=["two labels, one name", "depends on the others", "two labels, one truth"],
)
def test_steps_that_do_more_are_kept(decode: Any, expected: dict[str, Any]) -> None:
    model = logistic(THREE)
    chain, names = chains.fold_decoding(Chain([], model, [decode]))
    assert (len(chain.after), names) == (1, None)
    assert infer([model, decode]) == Output(task="classification", **expected)


def test_numbers_are_decoded_to_numbers() -> None:
    scaler = StandardScaler().fit(ROWS[["a"]])
    assert infer([LinearRegression().fit(ROWS, ROWS.a), scaler]) == Output(task="regression")
    assert infer([LinearRegression().fit(ROWS, ROWS.a), np.expm1]) == Output(task="regression")
