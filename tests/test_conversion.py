"""contract.formats.onnx: which chains become a graph, and that the graph answers as they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsRegressor, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM

from contract.answers import Answers, Columns, difference, from_model
from contract.formats import FORMATS, onnx
from contract.formats.chain import Chain
from contract.signature import Container, Field, FieldType, Output, Signature
from tests.fitted import described

_rng = np.random.default_rng(0)
ROWS = _rng.normal(size=(150, 3)) * [1.0, 2.0, 0.5] + [0.0, 5.0, -3.0]
SCALED = StandardScaler().fit_transform(ROWS)
TARGETS = SCALED @ [1.0, 2.0, 3.0]
TWO = (TARGETS > 0.5) * 1
THREE = TWO + (TARGETS > 2.5)
PAIRS = np.c_[TARGETS, 1 - 2 * TARGETS]
COLUMNS: Columns = {f"x{i}": ROWS[:, i].tolist() for i in range(3)}
SCALER = StandardScaler().fit(ROWS)


def signature(output: Output, *, container: Container = "array", whole: bool = False) -> Signature:
    names = [] if whole else list(COLUMNS)
    vector = (Field(name="v", type="tensor", dtype="float64", shape=(3,)),)
    fields = tuple(Field(name=name, type="float", dtype="float64") for name in names)
    return Signature(container=container, inputs=fields or vector, output=output)


def labelled(labels: Sequence[int], scores: Any = "", task: Any = "classification", **more: Any) -> Output:
    names = tuple(f"class {label}" for label in labels)
    return Output(task=task, labels=tuple(labels), classes=names, scores=scores, **more)


def answered(chain: Chain, sign: Signature, dtype: onnx.Dtype = "float32", columns: Columns = COLUMNS) -> Answers:
    """What the graph of a chain says."""
    assert onnx.obstacle(chain, sign) == ""
    content, plan = onnx.convert(chain, sign, dtype)
    return onnx.load(content, described(sign, plan)).answer(columns)


def close(found: Answers, expected: Answers, output: Output) -> bool:
    return difference(found, expected, relative=output.numeric) < FORMATS["onnx"].tolerance


CLASSIFIERS: dict[str, Any] = {
    "LinearSVC": LinearSVC(),
    "SVC": SVC(),
    "LogisticRegression": LogisticRegression(),
    "SGDClassifier": SGDClassifier(random_state=0),
    "GradientBoostingClassifier": GradientBoostingClassifier(n_estimators=5),
}


@pytest.mark.parametrize("targets", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_decision_values_are_those_of_the_fitted_object(name: str, targets: Any) -> None:
    model = CLASSIFIERS[name].fit(SCALED, targets)
    output = labelled(sorted(set(targets.tolist())), "decisions")
    expected = from_model(model.predict(SCALED), model.decision_function(SCALED), output, len(ROWS))
    assert len(expected.scores or [[]]) == len(ROWS)
    assert len((expected.scores or [[]])[0]) == (1 if targets is TWO else 3)
    columns: Columns = {f"x{i}": SCALED[:, i].tolist() for i in range(3)}
    dtype: onnx.Dtype = "float64" if name == "SGDClassifier" else "float32"  # its values are large
    assert close(answered(Chain([], model), signature(output), dtype, columns), expected, output)
    assert close(answered(Chain([SCALER], model), signature(output), dtype), expected, output)
    assert close(answered(Chain([], make_pipeline(SCALER, model)), signature(output), dtype), expected, output)


def test_a_threshold_of_decision_values_or_probabilities_decides_in_the_graph_too() -> None:
    model = LogisticRegression().fit(SCALED, TWO)
    shares, decisions = model.predict_proba(SCALED)[:, 1], model.decision_function(SCALED)
    for scores, threshold, above in (("probabilities", 0.2, shares >= 0.2), ("decisions", 1.0, decisions >= 1.0)):
        output = labelled([0, 1], scores, rule="threshold", threshold=threshold)
        found = answered(Chain([SCALER], model), signature(output))
        assert found.values == [f"class {int(flag)}" for flag in above]
        assert found.values != [f"class {label}" for label in model.predict(SCALED)]


WHOLE: dict[str, tuple[Any, Output, Any]] = {
    "groups": (KMeans(3, n_init=1, random_state=0).fit(SCALED), labelled([0, 1, 2], task="clustering"), "predict"),
    "mixture": (
        GaussianMixture(3, random_state=0).fit(SCALED),
        labelled([0, 1, 2], "probabilities", task="clustering"),
        "predict",
    ),
    "outliers": (
        LocalOutlierFactor(novelty=True).fit(SCALED),
        labelled([-1, 1], "decisions", task="outliers"),
        "predict",
    ),
    "one class": (OneClassSVM(nu=0.3).fit(SCALED), labelled([-1, 1], task="outliers"), "predict"),
    "two numbers": (LinearRegression().fit(SCALED, PAIRS), Output(task="regression", width=2), "predict"),
    "two numbers of a forest": (
        RandomForestRegressor(5, random_state=0).fit(SCALED, PAIRS),
        Output(task="regression", width=2),
        "predict",
    ),
    "two numbers of neighbours": (
        KNeighborsRegressor().fit(SCALED, PAIRS),
        Output(task="regression", width=2),
        "predict",
    ),
    "two labels": (
        MultiOutputClassifier(LogisticRegression()).fit(SCALED, np.c_[TWO, THREE]),
        Output(task="classification", type="integer", width=2),
        "predict",
    ),
    "a number": (LinearRegression().fit(SCALED, TARGETS), Output(task="regression"), "predict"),
    "a transform": (PCA(2).fit(SCALED), Output(task="transform", width=2), "transform"),
}


LINEAR = ("two numbers", "a number", "a transform")
"""Where single precision is not enough."""


@pytest.mark.parametrize("name", WHOLE)
def test_a_scaler_and_what_comes_after_are_one_graph(name: str) -> None:
    model, output, method = WHOLE[name]
    scores = None
    if output.scores:
        scores = (model.predict_proba if output.scores == "probabilities" else model.decision_function)(SCALED)
    expected = from_model(getattr(model, method)(SCALED), scores, output, len(ROWS))
    chain = Chain([SCALER, model]) if method == "transform" else Chain([SCALER], model)
    dtype: onnx.Dtype = "float64" if name in LINEAR else "float32"
    assert close(answered(chain, signature(output), dtype), expected, output)
    one: Columns = {name: values[:1] for name, values in COLUMNS.items()}
    assert close(answered(chain, signature(output), dtype, one), expected.take([0]), output)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_vector_of_one_field_is_the_matrix_itself(dtype: onnx.Dtype) -> None:
    output = labelled([0, 1, 2], "probabilities")
    model = LogisticRegression().fit(SCALED, THREE)
    sign = signature(output, whole=True)
    expected = from_model(model.predict(SCALED), model.predict_proba(SCALED), output, len(ROWS))
    assert close(answered(Chain([SCALER], model), sign, dtype, {"v": ROWS.tolist()}), expected, output)
    assert onnx.convert(Chain([SCALER], model), sign, dtype)[1].layout == "matrix"


@pytest.mark.parametrize("container", ["frame", "polars", "array", "sparse"])
def test_a_graph_does_not_mind_the_container(container: Container) -> None:
    model, output = LinearRegression().fit(SCALED, TARGETS), Output(task="regression")
    found = answered(Chain([SCALER], model), signature(output, container=container), "float64")
    assert found.values == pytest.approx(TARGETS.tolist())


# --- what stands in the way

TEXTS = ["good day", "bad night", "good night", "bad day"]


def typed(kind: FieldType, container: Container = "frame", **more: Any) -> Signature:
    field = Field(name="x", type=kind, dtype="object", **more)
    return Signature(container=container, inputs=(field,), output=Output(task="regression"))


MODEL = LinearRegression()


@pytest.mark.parametrize(
    ("chain", "sign", "reason"),
    [
        (Chain([], MODEL), typed("date"), "ONNX does not take a date as the model does"),
        (Chain([], MODEL), typed("datetime"), "ONNX does not take a datetime as the model does"),
        (Chain([], MODEL), typed("string", "list"), "ONNX does not take texts as the model does"),
        (Chain([], MODEL), typed("string", "series"), "ONNX does not take texts as the model does"),
        (Chain([], MODEL), typed("string", "column"), "ONNX does not take texts as the model does"),
        (Chain([], MODEL), typed("string", "records"), "ONNX does not take texts as the model does"),
        (Chain([abs], MODEL), typed("float"), "its steps are Python code"),
        (Chain([lambda rows: rows], MODEL), typed("float"), "its steps are Python code"),
        (Chain([], MODEL, [abs]), typed("float"), "its steps are Python code"),
        (Chain([], MODEL, [{0: "a"}]), typed("float"), "its steps are Python code"),
        (Chain([abs]), typed("float"), "its steps are Python code"),
        (
            Chain([], MODEL),
            signature(labelled([0, 1], task="multilabel")),
            "a graph gives the probabilities of several labels in another form",
        ),
        *(
            (chain, typed("string"), "ONNX splits texts into words in another way")
            for chain in (
                Chain([CountVectorizer()], MODEL),
                Chain([], make_pipeline(HashingVectorizer(), MODEL)),
                Chain([], make_pipeline(ColumnTransformer([("t", TfidfVectorizer(), "x")]), MODEL)),
            )
        ),
    ],
)
def test_where_no_graph_can_stand_for_the_chain_it_is_said_why(chain: Chain, sign: Signature, reason: str) -> None:
    assert onnx.obstacle(chain, sign) == reason


@pytest.mark.parametrize("sign", [typed("string"), typed("float", "array"), typed("tensor", "array", shape=(3, 4))])
def test_where_nothing_is_known_against_a_graph_it_is_tried(sign: Signature) -> None:
    assert onnx.obstacle(Chain([OneHotEncoder()], MODEL), sign) == ""


@pytest.mark.parametrize("levels", [("s", "é", "l"), (1, 2, 10)])
def test_categories_of_texts_and_of_whole_numbers_become_a_graph(levels: tuple[Any, ...]) -> None:
    frame = pd.DataFrame({"x": pd.Categorical(list(levels) * 20, categories=levels)})
    model = make_pipeline(OneHotEncoder(), LinearRegression()).fit(frame, [1.0, 20.0, 300.0] * 20)
    sign = typed("category", levels=levels)
    columns: Columns = {"x": [levels[2], levels[0]]}
    assert answered(Chain([], model), sign, columns=columns).values == pytest.approx([300.0, 1.0])


def differs(chain: Chain, sign: Signature, columns: Columns, expected: Answers) -> bool:
    """Whether no graph is made, or none that answers alike: then joblib does."""
    for dtype in ("float32", "float64"):
        try:
            found = answered(chain, sign, dtype, columns)
        except Exception:  # noqa: BLE001  # whichever the converter or the runtime has for it
            continue
        if close(found, expected, sign.output):
            return False
    return True


def test_what_a_graph_would_get_wrong_is_seen() -> None:
    def positive(rows: Any) -> Any:
        return np.abs(rows)

    hidden = Chain([FunctionTransformer(positive)], LinearRegression().fit(np.abs(ROWS), TARGETS))
    expected = Answers(hidden.values(ROWS).tolist())
    assert differs(hidden, signature(Output(task="regression")), COLUMNS, expected)
    forest = RandomForestClassifier(5, random_state=0).fit(ROWS, THREE)
    assert not differs(
        Chain([], forest),
        signature(labelled([0, 1, 2], "probabilities")),
        COLUMNS,
        from_model(forest.predict(ROWS), forest.predict_proba(ROWS), labelled([0, 1, 2], "probabilities"), len(ROWS)),
    )
