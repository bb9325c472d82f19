"""How much each input counts, as the fitted model itself tells it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from contract.formats.chain import Chain
from pipeline.measuring.importances import explained_variance, importances

ROWS = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 1.0], [5.0, 0.0], [6.0, 1.0]])
TARGET = 3 * ROWS[:, 0] - 10 * ROWS[:, 1]
FRAME = pd.DataFrame(ROWS, columns=["size", "age"])
NAMES = ["size", "age"]
LINEAR = LinearRegression().fit(ROWS, TARGET)


def test_coefficients_count_by_their_size() -> None:
    assert importances(LINEAR, NAMES) == pytest.approx({"size": 3, "age": 10})


def test_those_of_several_classes_are_averaged() -> None:
    model = LogisticRegression().fit(ROWS, [0, 0, 1, 1, 2, 2])
    found = importances(model, NAMES)
    assert found == pytest.approx({name: abs(model.coef_[:, i]).mean() for i, name in enumerate(NAMES)})


def test_a_tree_tells_its_own() -> None:
    tree = DecisionTreeRegressor(max_depth=1, random_state=0).fit(ROWS, ROWS[:, 1])
    assert importances(tree, NAMES) == {"size": 0.0, "age": 1.0}


def test_in_a_pipeline_the_inputs_are_called_what_the_steps_before_call_them() -> None:
    encode = ColumnTransformer([("kind", OneHotEncoder(), ["kind"])], remainder="passthrough")
    rows = pd.DataFrame({"kind": ["a", "b", "a", "b"], "size": [1.0, 2.0, 3.0, 4.0]})
    found = importances(make_pipeline(encode, LinearRegression()).fit(rows, [1.0, 2.0, 3.0, 4.0]), ["kind", "size"])
    assert found is not None
    assert list(found) == ["kind__kind_a", "kind__kind_b", "remainder__size"]
    words = make_pipeline(CountVectorizer(), LogisticRegression()).fit(["good day", "bad day"], [1, 0])
    assert list(importances(words, ["text"]) or {}) == ["bad", "day", "good"]


@pytest.mark.parametrize(
    "fitted",
    [
        make_pipeline(StandardScaler(), LinearRegression()).fit(ROWS, TARGET),
        make_pipeline("passthrough", StandardScaler(), LinearRegression()).fit(FRAME, TARGET),
        GridSearchCV(LinearRegression(), {"fit_intercept": [True]}, cv=2).fit(ROWS, TARGET),
        TransformedTargetRegressor(LinearRegression()).fit(ROWS, TARGET),
        Chain([], LINEAR),
        Chain([StandardScaler().fit(ROWS)], LINEAR),
        Chain([lambda rows: rows], LinearRegression().fit(FRAME, TARGET)),
    ],
    ids=["pipeline", "of a frame", "search", "transformed target", "chain", "chain with a step", "names of its own"],
)
def test_wherever_the_model_is_its_inputs_are_known(fitted: Any) -> None:
    assert list(importances(fitted, NAMES) or {}) == NAMES


class Broken:
    @property
    def coef_(self) -> None:
        raise RuntimeError("no")


class Gap:
    coef_ = np.array([1.0, np.nan])


@pytest.mark.parametrize(
    "fitted",
    [
        KMeans(2, n_init=1, random_state=0).fit(ROWS),
        SVC(kernel="rbf").fit(ROWS, [0, 1] * 3),
        LinearRegression().fit(ROWS[:, :1], TARGET),
        make_pipeline(FunctionTransformer(), LinearRegression()).fit(ROWS, TARGET),
        Chain([lambda rows: rows], LINEAR),
        Chain([lambda rows: rows]),
        Broken(),
        Gap(),
        None,
    ],
    ids=[
        "without",
        "no coefficients",
        "of other inputs",
        "names lost",
        "a function",
        "no model",
        "raises",
        "gap",
        "none",
    ],
)
def test_where_nobody_tells_there_are_none(fitted: Any) -> None:
    assert importances(fitted, NAMES) is None


def test_a_decomposition_tells_what_it_keeps() -> None:
    parts = PCA(1).fit(ROWS)
    kept = float(parts.explained_variance_ratio_[0])
    assert explained_variance(parts) == explained_variance(make_pipeline(FunctionTransformer(), parts)) == kept < 1
    assert explained_variance(PCA().fit(ROWS)) == pytest.approx(1)
    assert explained_variance(StandardScaler().fit(ROWS)) is None
