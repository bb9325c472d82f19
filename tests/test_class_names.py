"""Names for the classes of a model, and what does not fit its answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import LabelEncoder, MultiLabelBinarizer

from contract.errors import ExportRefused
from contract.signature import Output
from tests.test_outputs import BOTH, ROWS, THREE, WORDS, YES, encoder, infer, logistic

# --- names for classes


@pytest.mark.parametrize(
    "classes",
    [
        ["no", "yes"],
        ("no", "yes"),
        np.array(["no", "yes"]),
        pd.Index(["no", "yes"]),
        pd.Series(["no", "yes"], index=[5, 6]),
        {1: "yes", 0: "no", 2: "never"},
        {np.int64(0): "no", np.int64(1): "yes"},
        encoder("yes", "no"),
        encoder("yes", "no", "zzz"),
    ],
    ids=lambda classes: type(classes).__name__,
)
def test_classes_can_be_named(classes: Any) -> None:
    output = infer(logistic(YES), classes=classes)
    assert (output.labels, output.classes) == ((0, 1), ("no", "yes"))
    assert [type(name) for name in output.classes] == [str, str]


@pytest.mark.parametrize(
    ("model", "classes", "labels", "names"),
    [
        (logistic(WORDS), {"low": 1, "mid": 2, "high": 3}, ("high", "low", "mid"), (3, 1, 2)),
        (logistic(YES * 2), encoder("a", "b", "c"), (0, 2), ("a", "c")),
        (RandomForestClassifier(3).fit(ROWS, BOTH), ["up", "wide"], (0, 1), ("up", "wide")),
        (
            OneVsRestClassifier(LogisticRegression()).fit(ROWS, BOTH),
            MultiLabelBinarizer().fit([["wide"], ["up"]]),
            (0, 1),
            ("up", "wide"),
        ),
        (KMeans(3, n_init=1).fit(ROWS), ["x", "y", "z"], (0, 1, 2), ("x", "y", "z")),
        (IsolationForest(n_estimators=9).fit(ROWS), {1: "usual", -1: "odd"}, (-1, 1), ("odd", "usual")),
        (lambda rows: YES, ["no", "yes"], (0, 1), ("no", "yes")),
        (lambda rows: YES, encoder("no", "yes"), (0, 1), ("no", "yes")),
        (lambda rows: YES, {1: "yes", 0: "no"}, (1, 0), ("yes", "no")),
        (lambda rows: np.where(YES, "yes", "no"), ["yes", "no"], ("yes", "no"), ("yes", "no")),
        (lambda rows: np.where(YES, "y", "n"), {"y": "yes", "n": "no"}, ("y", "n"), ("yes", "no")),
    ],
)
def test_names_belong_to_the_labels(model: Any, classes: Any, labels: Any, names: Any) -> None:
    output = infer(model, classes=classes)
    assert (output.labels, output.classes, output.rule) == (labels, names, "predict")


def test_several_numbers_with_names_are_scores_of_classes() -> None:
    shares = np.array([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]] * 20)
    expected: dict[str, Any] = {"task": "classification", "labels": (0, 1, 2), "classes": ("x", "y", "z")}
    expected["rule"] = "largest"
    assert infer(lambda rows: shares, classes=["x", "y", "z"]) == Output(**expected, scores="probabilities")
    assert infer(lambda rows: shares * 9 - 4, classes=["x", "y", "z"]) == Output(**expected, scores="decisions")
    assert infer(lambda rows: shares * 0.9, classes=["x", "y", "z"]).scores == "decisions"


# --- what is refused


def answering(value: Any) -> Any:
    return lambda rows: [value] * len(rows)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (
            logistic(YES),
            {"classes": ["no"]},
            r"^classes= has 1 names \('no'\); the model has 2 classes \(0, 1\), each needs one of its own, in this ord",
        ),
        (logistic(YES), {"classes": ["a", "b", "c"]}, r"^classes= has 3 names \('a', 'b', 'c'\); the model has 2"),
        (logistic(YES), {"classes": ["no", "no"]}, r"^classes= has 2 names \('no', 'no'\); the model has 2 classes"),
        (logistic(YES), {"classes": [0, False]}, r"^classes= has 2 names \(0, False\); the model has 2 classes"),
        (logistic(YES), {"classes": range(20)}, r"^classes= has 20 names \(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …\)"),
        (logistic(YES), {"classes": {0: "no"}}, r"^classes= has no name for the class 1; the model's are 0, 1\.$"),
        (logistic(YES), {"classes": {0: "no", 1: "no"}}, r"^classes= has 2 names \('no', 'no'\)"),
        (logistic(YES), {"classes": {"no", "yes"}}, r"^classes= is a set; give a list in the order of the model's la"),
        (logistic(YES), {"classes": "ab"}, r"^classes= is a str; give a list in the order of the model's labels, a "),
        (logistic(YES), {"classes": 2}, r"^classes= is an int; give a list"),
        (logistic(YES), {"classes": LabelEncoder()}, r"^classes= is a LabelEncoder; give a list .* a fitted LabelE"),
        (logistic(YES), {"classes": ["no", None]}, r"^A class is called None; classes are texts, numbers or boolean"),
        (logistic(YES), {"classes": ["no", ["yes"]]}, r"^A class is called \['yes'\]; classes are"),
        (logistic(YES), {"classes": encoder("only")}, r"^classes= has 1 names \('only'\); the model has 2 classes"),
        (
            Ridge().fit(ROWS, ROWS.a),
            {"classes": ["no", "yes"]},
            r"^classes= has the names 'no', 'yes', and the model .* such as -?\d\.\d+; say from which on it is 'yes'",
        ),
        (
            Ridge().fit(ROWS, ROWS.a),
            {"classes": ["a", "b", "c"]},
            r"^classes= has names for 0, 1, 2; the model, a Ridge, answers -?\d",
        ),
        (lambda rows: THREE, {"classes": ["a", "b"]}, r"^classes= has the names 'a', 'b', and the model answers"),
        (lambda rows: WORDS, {"classes": ["a", "b", "c"]}, r"^classes= has names for 0, 1, 2; the model answers '"),
        (
            lambda rows: rows.to_numpy(),
            {"classes": ["a", "b"]},
            r"^classes= has 2 names; the model answers 3 numbers a row\.$",
        ),
        (
            MultiOutputClassifier(LogisticRegression()).fit(ROWS, np.c_[THREE, THREE]),
            {"classes": ["a", "b"]},
            r"^classes= has names for one label a row; the model, a MultiOutputClassifier, answers 2 labels a row: lea",
        ),
        # a threshold for what has none
        (
            logistic(WORDS),
            {"threshold": 0.5},
            r"^threshold= is for a model of two classes with probabilities .*; this one has 3 classes and probabilit",
        ),
        (
            Ridge().fit(ROWS, ROWS.a),
            {"threshold": 0.5},
            r"^threshold= is for .* has no classes and no probabilities\.$",
        ),
        (lambda rows: WORDS, {"threshold": 0.5}, r"^threshold= is for .* has no classes and no probabilities\.$"),
        (
            VotingClassifier([("a", LogisticRegression())], voting="hard").fit(ROWS, YES),
            {"threshold": 0.5},
            r"^threshold= is for .* has 2 classes and no probabilities\.$",
        ),
        (logistic(YES), {"threshold": "0.5"}, r"^threshold= is '0\.5'; give the number from which on the second cl"),
        (logistic(YES), {"threshold": True}, r"^threshold= is True; give the number"),
        (logistic(YES), {"threshold": math.nan}, r"^threshold= is nan; give the number"),
        (logistic(YES), {"threshold": math.inf}, r"^threshold= is inf; give the number"),
        # no answers that JSON has
        (answering(None), {}, r"^The model answers None, a NoneType; an answer is a number, a text, true or false, or"),
        (answering(pd.Timestamp("2026-11-21")), {}, r"^The model answers .*a (datetime|Timestamp); an answer is"),
        (answering({"a": 1}), {}, r"^The model answers \{'a': 1\}, a dict; an answer is"),
        (answering(1j), {}, r"^The model answers 1j, a complex; an answer is"),
        (answering([1.5, "a"]), {}, r"^The model answers each row with a list that mixes texts and numbers; end the"),
        (answering(np.zeros((2, 2))), {}, r"^The model answers 40 rows with an array of shape \(40, 2, 2\); an answer"),
    ],
)
def test_what_does_not_fit_is_refused(model: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportRefused, match=message) as error:
        infer(model, **given)
    assert len(str(error.value)) < 400


def test_a_class_that_the_model_does_not_tell_is_refused() -> None:
    class Liar:
        classes_ = ("no", "yes")

        def predict(self, rows: Any) -> Any:
            return ["so"] * len(rows)

    with pytest.raises(ExportRefused, match=r"^The model, a Liar, answers a class that its `classes_` do not hold\.$"):
        infer(Liar())


def test_classes_that_are_no_plain_values_are_refused() -> None:
    model = logistic(YES)
    model.classes_ = np.array([0, pd.Timestamp("2026-11-21")], dtype=object)
    with pytest.raises(ExportRefused, match=r"^A class is called Timestamp\('2026-11-21 00:00:00'\); classes are tex"):
        infer(model)
