"""contract.formats.chain: columns find their place by name, also where a library takes whatever comes."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from scipy.sparse import csr_matrix
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from contract.errors import PredictionFailed
from contract.formats.chain import Chain, apply, matched, names_of
from contract.formats.joblib import FittedObject
from contract.signature import Field, Output, Signature

_rng = np.random.default_rng(0)
FRAME = pd.DataFrame(_rng.normal(size=(80, 3)) * [1, 20, 400], columns=["a b", "c", "d"])
TURNED = FRAME[["d", "a b", "c"]]
TARGETS = FRAME["a b"] * 300 + FRAME["c"] * 2 + FRAME["d"] * 0.1


def fitted_on(rows: Any, **changes: Any) -> Any:
    return lightgbm.LGBMRegressor(n_estimators=20, min_child_samples=2, verbose=-1, **changes).fit(rows, TARGETS)


def test_columns_in_another_order_are_put_right_where_the_model_would_not_notice() -> None:
    model = fitted_on(FRAME)
    assert list(model.feature_names_in_) == ["a_b", "c", "d"]  # it respells them
    expected = model.predict(FRAME)
    assert not np.allclose(model.predict(TURNED), expected)  # and takes whatever comes, without a word
    assert Chain.around(model).values(TURNED).tolist() == expected.tolist()
    booster = model.booster_
    assert not np.allclose(booster.predict(TURNED), expected)
    assert Chain.around(booster).values(TURNED).tolist() == expected.tolist()
    assert Chain.around(model).values(FRAME.to_numpy()).tolist() == expected.tolist()


def test_columns_that_are_called_as_lightgbm_calls_those_of_an_array_are_put_right() -> None:
    named = FRAME.set_axis([f"Column_{i}" for i in range(3)], axis=1)
    turned = named[["Column_2", "Column_0", "Column_1"]]
    for model in (fitted_on(named), fitted_on(named).booster_):
        assert Chain.around(model).values(turned).tolist() == model.predict(named).tolist()


def test_a_model_of_arrays_takes_columns_by_position_whatever_they_are_called() -> None:
    rows = FRAME.to_numpy()
    for model in (fitted_on(rows), fitted_on(rows).booster_, xgboost.XGBRegressor(n_estimators=3).fit(rows, TARGETS)):
        assert names_of(model, FRAME.columns) is None
        assert matched(model, FRAME) is FRAME
        assert Chain.around(model).values(rows).tolist() == model.predict(rows).tolist()


def test_columns_find_their_place_in_every_library() -> None:
    polars = pl.from_pandas(FRAME)
    turned = polars[list(TURNED.columns)]
    booster = xgboost.XGBRegressor(n_estimators=3).fit(FRAME, TARGETS)
    assert Chain.around(booster).values(TURNED).tolist() == booster.predict(FRAME).tolist()
    for model in (LinearRegression().fit(FRAME, TARGETS), LinearRegression().fit(polars, TARGETS)):
        expected = model.predict(FRAME).tolist()
        assert Chain.around(model).values(TURNED).tolist() == expected
        assert Chain.around(model).values(turned).tolist() == expected
        assert Chain.around(model).values(FRAME.to_numpy()).tolist() == expected  # without a warning


def test_a_transformer_gets_its_columns_in_order_too() -> None:
    mixed = pd.DataFrame({"n": [1.0, 2.0, 3.0], "t": ["x", "y", "x"]})
    step = make_column_transformer((OneHotEncoder(), ["t"]), ("passthrough", ["n"])).fit(mixed)
    assert apply(step, mixed[["t", "n"]]).tolist() == [[1, 0, 1], [0, 1, 2], [1, 0, 3]]
    scaler = StandardScaler().fit(FRAME)
    assert apply(scaler, TURNED).tolist() == scaler.transform(FRAME).tolist()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (FRAME.drop(columns="c"), "{} was fitted on the column 'c', which the rows do not have."),
        (FRAME.rename(columns={"c": "C"}), "{} was fitted on the column 'c', which the rows do not have."),
        (FRAME.assign(extra=1.0), "{} was not fitted on the column 'extra', which the rows have."),
    ],
)
def test_a_column_that_is_missing_or_unknown_is_refused(rows: Any, says: str) -> None:
    for step in (fitted_on(FRAME), LinearRegression().fit(FRAME, TARGETS), StandardScaler().fit(FRAME)):
        with pytest.raises(PredictionFailed) as refused:
            matched(step, rows)
        assert str(refused.value) == says.format(type(step).__name__)
    with pytest.raises(PredictionFailed) as refused:
        matched(fitted_on(FRAME).booster_, rows)
    assert str(refused.value) == says.format("Booster")


@pytest.mark.parametrize(
    "rows", [FRAME.to_numpy()[:, :2], FRAME.to_numpy()[:, 0], csr_matrix(FRAME.to_numpy()), [[1.0, 2.0, 3.0]], ["text"]]
)
def test_what_has_no_names_is_handed_over_as_it_is(rows: Any) -> None:
    assert matched(LinearRegression().fit(FRAME, TARGETS), rows) is rows


class Named:
    def __init__(self, names: Any) -> None:
        self.feature_names_in_ = names


class Secretive:
    def __init__(self, error: Exception) -> None:
        self.error = error

    @property
    def feature_names_in_(self) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "step",
    [Named(None), Named(3), Named([1, 2, 3]), Named(["a", 1]), *map(Secretive, (AttributeError(), RuntimeError()))],
)
def test_names_that_a_step_cannot_tell_are_not_asked_for(step: Any) -> None:
    assert names_of(step) is None
    assert matched(step, FRAME) is FRAME
    fields = tuple(Field(name=name, type="float", dtype="float64") for name in FRAME.columns)
    signature = Signature(container="frame", inputs=fields, output=Output(task="regression"))
    step.predict = lambda rows: rows.iloc[:, 0]
    assert FittedObject(step, signature).answer({"a b": [1.0], "c": [2.0], "d": [3.0]}).values == [1.0]
