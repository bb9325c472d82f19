"""contract.formats.boosters: trees of XGBoost and LightGBM become graphs that answer as they do."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from contract.answers import Answers, Columns, difference, from_model
from contract.formats import FORMATS, boosters, onnx
from contract.formats.chain import Chain
from contract.signature import Field, Output, Signature
from tests.fitted import described

_rng = np.random.default_rng(0)
FRAME = pd.DataFrame(_rng.normal(size=(200, 3)), columns=["a b", "c", "d"]).assign(flag=_rng.random(200) < 0.5)
TARGETS = FRAME["a b"] * 3 + FRAME["c"] * 2 + FRAME["flag"] * 4
THREE = (TARGETS > 1) * 1 + (TARGETS > 4)
COLUMNS: Columns = {name: FRAME[name].tolist() for name in FRAME.columns}
NUMBER = Output(task="regression")
CLASSES = Output(task="classification", labels=(0, 1, 2), classes=("a", "b", "c"), scores="probabilities")
MADE: dict[str, tuple[Any, Output]] = {
    "lightgbm, a number": (lightgbm.LGBMRegressor(n_estimators=5, verbose=-1), NUMBER),
    "lightgbm, classes": (lightgbm.LGBMClassifier(n_estimators=5, verbose=-1), CLASSES),
    "xgboost, a number": (xgboost.XGBRegressor(n_estimators=5), NUMBER),
    "xgboost, classes": (xgboost.XGBClassifier(n_estimators=5), CLASSES),
}


def expected(model: Any, rows: Any, output: Output) -> Answers:
    scores = model.predict_proba(rows) if output.scores else None
    return from_model(model.predict(rows), scores, output, len(rows))


def signature(frame: pd.DataFrame, output: Output) -> Signature:
    fields = []
    for name, column in frame.items():
        kind: Any = {"b": "boolean", "f": "float"}.get(getattr(column.dtype, "kind", ""), "string")
        fields.append(Field(name=str(name), type=kind, dtype=str(column.dtype)))
    return Signature(container="frame", inputs=tuple(fields), output=output)


@pytest.mark.parametrize("name", MADE)
def test_boosted_trees_of_numbers_and_flags_are_a_graph_of_one_matrix(name: str) -> None:
    model, output = MADE[name]
    model.fit(FRAME, TARGETS if output is NUMBER else THREE)
    before = expected(model, FRAME, output)
    sign = signature(FRAME, output)
    content, plan = onnx.convert(Chain([], model), sign, "float32")
    found = onnx.load(content, described(sign, plan)).answer(COLUMNS)
    assert plan.layout == "matrix"
    assert difference(found, before, relative=output.numeric) < FORMATS["onnx"].tolerance
    # the fitted object itself knows its columns as before
    assert expected(model, FRAME, output) == before
    assert [str(column).replace("_", " ") for column in model.feature_names_in_] == list(FRAME.columns)


@pytest.mark.parametrize("name", MADE)
def test_boosted_trees_behind_other_steps_are_one_graph_with_them(name: str) -> None:
    model, output = MADE[name]
    frame = FRAME.drop(columns="flag").assign(text=_rng.choice(["x", "y"], len(FRAME)))
    encode = make_column_transformer((OneHotEncoder(), ["text"]), ("passthrough", ["a b", "c", "d"]))
    fitted = make_pipeline(encode, model).fit(frame, TARGETS if output is NUMBER else THREE)
    sign = signature(frame, output)
    content, plan = onnx.convert(Chain([], fitted), sign, "float32")
    found = onnx.load(content, described(sign, plan)).answer({str(n): frame[n].tolist() for n in frame.columns})
    assert plan.layout == "columns"
    answers = expected(fitted, frame, output)
    assert difference(found, answers, relative=output.numeric) < FORMATS["onnx"].tolerance


def test_what_holds_no_boosted_trees_is_left_as_it_is() -> None:
    steps = [StandardScaler(), make_pipeline(StandardScaler())]
    assert [one is other for one, other in zip(boosters.convertible(steps), steps, strict=True)] == [True, True]
