"""Each file that an export writes answers as the fitted object did, and ONNX is kept only where it does."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer, SplineTransformer, StandardScaler

from contract.answers import Answers
from contract.formats import FORMATS
from contract.formats.chain import Chain
from contract.formats.joblib import FittedObject
from contract.manifest import Manifest, Run, Runtime
from contract.signature import Output, Signature
from contract.store import Store
from pipeline import export
from pipeline.exporting import asking, intake, outputs, parity, signatures
from tests.test_signatures import infer

ROWS = 120
_rng = np.random.default_rng(0)
NUMBERS = pd.DataFrame(
    {"a": _rng.normal(size=ROWS) * 3, "b": _rng.normal(size=ROWS), "k": _rng.integers(0, 9, size=ROWS)}
)
_score = NUMBERS.a + 2 * NUMBERS.b - 0.3 * NUMBERS.k
LABELS = np.select([_score < -1, _score < 1], ["low", "mid"], "high")
TARGETS = _score * 1.7 + _rng.normal(size=ROWS) * 0.1
MIXED = NUMBERS.assign(
    colour=_rng.choice(["red", "blue"], ROWS),
    size=pd.Categorical(_rng.choice(["s", "m", "l"], ROWS)),
    gaps=NUMBERS.b.where(_rng.random(ROWS) < 0.9),
)


def mixed(last: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    steps = [("texts", OneHotEncoder(), ["colour", "size"]), ("numbers", numbers, ["k", "gaps", "a"])]
    return make_pipeline(ColumnTransformer(steps), last)


class Rule:
    """What somebody writes in a cell: no estimator, plain lists, texts of its own."""

    __module__ = "__main__"
    classes_ = ("low", "high")

    def fit(self, frame: pd.DataFrame) -> Rule:
        self.limit = float(frame["a"].median())
        return self

    def predict(self, frame: pd.DataFrame) -> list[str]:
        return ["high" if value > self.limit else "low" for value in frame["a"]]

    def predict_proba(self, frame: pd.DataFrame) -> Any:
        share = 1 / (1 + np.exp(self.limit - frame["a"].to_numpy()))
        return np.c_[1 - share, share]


# --- the files of an export


@pytest.mark.parametrize(
    ("fit", "frame", "runs_as"),
    [
        (lambda: RandomForestClassifier(20, random_state=0).fit(NUMBERS, LABELS), NUMBERS, "onnx"),
        (lambda: GradientBoostingClassifier(n_estimators=9, random_state=0).fit(NUMBERS, LABELS), NUMBERS, "onnx"),
        (lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS, LABELS), NUMBERS, "onnx"),
        (lambda: Ridge().fit(NUMBERS.to_numpy(), TARGETS), NUMBERS.to_numpy(), "onnx"),
        (lambda: RandomForestRegressor(20, random_state=0).fit(NUMBERS, TARGETS), NUMBERS, "onnx"),
        (lambda: HistGradientBoostingClassifier(max_iter=9).fit(NUMBERS, LABELS == "low"), NUMBERS, None),
        (lambda: KNeighborsClassifier(3).fit(NUMBERS, LABELS), NUMBERS, "onnx"),
        (lambda: mixed(LogisticRegression()).fit(MIXED, LABELS), MIXED, "onnx"),
        (lambda: Rule().fit(NUMBERS), NUMBERS, "joblib"),
    ],
    ids=[
        "forest",
        "boosting",
        "logistic",
        "ridge",
        "regression-forest",
        "histogram",
        "neighbours",
        "mixed",
        "own-class",
    ],
)
def test_every_file_answers_as_the_fitted_object(
    fit: Callable[[], Any], frame: Any, runs_as: str | None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECTERN_STORE", str(store.root))
    fitted = fit()
    manifest = export(fitted, "model", frame[::3], all_rows=frame).manifest
    assert runs_as in (None, manifest.runtime.format)
    assert bool(manifest.runtime.reason) == (manifest.runtime.format == "joblib")

    artifact = store.artifact("model")
    kinds = [kind for kind in FORMATS.values() if kind.file in artifact.manifest.files]
    assert len(kinds) == 1 + (manifest.runtime.format == "onnx")
    models = [kind.load(artifact.read(kind.file), artifact.manifest) for kind in kinds]
    columns = signatures.as_columns(intake.read(frame, "rows").frame, manifest.signature)
    said = list(fitted.predict(frame))
    shares = fitted.predict_proba(frame) if manifest.signature.output.scores else None

    def compare(rows: list[int], names: list[str]) -> None:
        for model in models:
            answers = model.answer({name: [columns[name][row] for row in rows] for name in names})
            if manifest.signature.output.task == "regression":
                assert answers.values == pytest.approx([said[row] for row in rows], rel=1e-5, abs=1e-5)
            else:
                assert answers.values == [said[row] for row in rows]
            if shares is not None:
                assert answers.scores is not None
                np.testing.assert_allclose(answers.scores, shares[rows], rtol=0, atol=1e-5)

    compare(list(range(ROWS)), list(columns))
    some, any_order = st.lists(st.integers(0, ROWS - 1), min_size=1), st.permutations(list(columns))
    settings(max_examples=12)(given(rows=some, names=any_order)(compare))()


# --- the choice


def prepared(model: Any, frame: pd.DataFrame) -> tuple[FittedObject, Manifest]:
    chain = Chain.around(model)
    signature = Signature(
        container="frame",
        inputs=infer(frame),
        output=outputs.infer_output(chain, asking.ask(chain, intake.read(frame, "rows"))),
    )
    created = datetime(2026, 11, 21, tzinfo=UTC)
    run, runtime = Run(kind="interactive"), Runtime(format="joblib")
    return FittedObject(model, signature), Manifest(
        model="m", created=created, signature=signature, runtime=runtime, run=run
    )


def test_the_number_type_that_comes_closer_is_kept() -> None:
    far = NUMBERS * 1e4
    for model, dtype in (
        (RandomForestClassifier(9, random_state=0).fit(NUMBERS, LABELS), "float32"),
        (Ridge().fit(NUMBERS, TARGETS), "float64"),
        (RandomForestRegressor(9, random_state=0).fit(NUMBERS, TARGETS), "float32"),
        (make_pipeline(StandardScaler(), LogisticRegression()).fit(far + 1e7, LABELS), "float64"),
    ):
        rows = far + 1e7 if dtype == "float64" and hasattr(model, "steps") else NUMBERS
        runtime, graph = parity.choose_runtime(*prepared(model, rows), rows, [])
        assert runtime.onnx is not None
        assert (runtime.format, runtime.onnx.dtype) == ("onnx", dtype)
        assert runtime.onnx.max_difference <= 1e-5
        assert graph


def test_what_cannot_be_converted_runs_as_joblib_and_says_why() -> None:
    model = make_pipeline(SplineTransformer(), Ridge()).fit(NUMBERS, TARGETS)
    runtime, graph = parity.choose_runtime(*prepared(model, NUMBERS), NUMBERS, [])
    assert (runtime.format, runtime.onnx, graph) == ("joblib", None, None)
    assert runtime.reason.startswith("it cannot be converted: MissingShapeCalculator, Unable to find a shape calcul")
    assert len(runtime.reason) < 180
    assert "\n" not in runtime.reason


def test_a_graph_that_answers_one_given_row_otherwise_is_dropped() -> None:
    fitted, manifest = prepared(Ridge().fit(NUMBERS, TARGETS), NUMBERS)
    columns = signatures.as_columns(NUMBERS, manifest.signature)
    answers = fitted.answer(columns)
    assert parity.choose_runtime(fitted, manifest, NUMBERS, [(columns, answers)])[0].format == "onnx"
    answers.values[7] += 1e-4 * abs(answers.values[7])
    runtime, graph = parity.choose_runtime(fitted, manifest, NUMBERS, [(columns, answers)])
    assert (runtime.format, graph) == ("joblib", None)
    assert runtime.reason == "the converted graph answers otherwise than the fitted object"


def test_one_other_label_is_too_many() -> None:
    fitted, manifest = prepared(RandomForestClassifier(9, random_state=0).fit(NUMBERS, LABELS), NUMBERS)
    columns = signatures.as_columns(NUMBERS, manifest.signature)
    answers = fitted.answer(columns)
    other = Answers(["mid" if value == "low" else value for value in answers.values], answers.scores)
    assert parity.choose_runtime(fitted, manifest, NUMBERS, [(columns, other)])[0].format == "joblib"


def test_a_graph_that_does_not_run_is_dropped() -> None:
    model = mixed(RandomForestRegressor(9, random_state=0)).fit(MIXED, TARGETS)
    runtime, _ = parity.choose_runtime(*prepared(model, MIXED), MIXED, [])
    assert runtime.reason == (
        "the converted graph fails: model.onnx is not a graph that ONNX Runtime can run (NotImplemented).; "
        "the converted graph answers otherwise than the fitted object"
    )


def test_rows_that_the_fitted_object_refuses_are_not_compared() -> None:
    positive = NUMBERS[["a"]].abs() + 1e-3
    fitted, manifest = prepared(
        make_pipeline(PowerTransformer(method="box-cox"), Ridge()).fit(positive, TARGETS), positive
    )
    near = signatures.as_columns(parity.around(positive, manifest.signature), manifest.signature)
    assert min(near["a"]) < 0
    assert parity.choose_runtime(fitted, manifest, positive, [])[0].format == "onnx"


def test_numbers_that_float32_does_not_hold_are_compared_without_a_warning() -> None:
    huge = NUMBERS[["a"]] * 1e300
    fitted, manifest = prepared(Ridge().fit(NUMBERS[["a"]], TARGETS), huge)
    assert parity.choose_runtime(fitted, manifest, huge, [])[0].format == "onnx"


# --- the rows around


def test_rows_around_stay_what_a_request_could_send() -> None:
    frame = pd.DataFrame(
        {
            "bounded": [0.0, 1.0, 0.5],
            "free": np.array([10, 20, 30], dtype="float32"),
            "small": np.array([0, 255, 3], dtype="uint8"),
            "gaps": pd.array([1, None, 5], dtype="Int64"),
            "object": pd.Series([1, 2, 9], dtype=object),
            "flag": [True, False, True],
            "text": ["u", "v", None],
            "level": pd.Categorical(["x", "y", "x"]),
        }
    )
    inputs = infer(frame, bounds={"bounded": (0, 1)})
    signature = Signature(container="frame", inputs=inputs, output=Output(task="regression"))
    rows = parity.around(frame, signature)
    assert len(rows) == 1000
    assert rows.dtypes.to_dict() == frame.dtypes.to_dict()
    assert [name for name in rows if rows[name].isna().any()] == ["gaps", "text"]
    assert rows["bounded"].between(0, 1).all()
    assert rows["free"].min() < 10
    assert rows["free"].max() > 30
    assert set(rows["small"]) >= {0, 1, 254, 255}
    assert rows["gaps"].dropna().between(1, 5).all()
    assert set(rows["object"]) >= {1, 2, 5, 9}
    assert (set(rows["flag"]), set(rows["text"].dropna()), set(rows["level"])) == (
        {True, False},
        {"u", "v"},
        {"x", "y"},
    )
    assert len(rows["bounded"].unique()) > 300
    steps = (rows["bounded"].to_numpy()[:, None] - [0.0, 0.5, 1.0]).__abs__().min(axis=1)
    assert ((steps > 0) & (steps < 1e-5)).any()
    pd.testing.assert_frame_equal(rows, parity.around(frame, signature))


def test_many_rows_have_as_many_around_them_up_to_a_limit() -> None:
    for given_rows, expected in ((2_500, 2_500), (20_000, 10_000)):
        frame = pd.DataFrame({"x": np.linspace(0, 1, given_rows)})
        signature = Signature(container="frame", inputs=infer(frame), output=Output(task="regression"))
        assert len(parity.around(frame, signature)) == expected
        assert math.isfinite(parity.around(frame, signature)["x"].sum())
