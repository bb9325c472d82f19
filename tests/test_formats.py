"""contract.formats: a model file answers as the fitted object it was made of, or does not load."""

import io
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import joblib as joblib_itself
import numpy as np
import onnx as onnx_itself
import pandas as pd
import pytest
from onnx import TensorProto, helper
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from contract.answers import Answers, Columns, difference, from_model
from contract.errors import EnvironmentMismatch, FormatMismatch, LoadFailed, PredictionFailed
from contract.formats import FORMATS, joblib, onnx
from contract.formats.joblib import FittedObject, as_inputs
from contract.manifest import Manifest, Onnx, Runtime
from contract.signature import Field, FieldType, Output, Signature
from tests.samples import REGRESSION, manifest

ROOT = Path(__file__).parents[1]
KINDS: dict[str, FieldType] = {"b": "boolean", "i": "integer", "u": "integer", "f": "float"}


# --- real estimators


@dataclass
class Case:
    """A fitted estimator with the rows it was fitted on."""

    fitted: Any
    rows: Any
    signature: Signature
    columns: Columns

    @property
    def expected(self) -> Answers:
        """What the estimator itself says."""
        output = self.signature.output
        shares = self.fitted.predict_proba(self.rows) if output.probabilities else None
        return from_model(self.fitted.predict(self.rows), shares, output, len(self.rows))


def case(fitted: Any, rows: Any, targets: Any) -> Case:
    fitted.fit(rows, targets)
    frame = (
        rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])
    )
    labels = tuple(getattr(fitted, "classes_", np.array([])).tolist())
    output = Output(
        task="classification" if labels else "regression",
        labels=labels,
        classes=tuple(f"class {label}" for label in labels),
        probabilities=hasattr(fitted, "predict_proba"),
    )
    fields = []
    for name, column in frame.items():
        category = isinstance(column.dtype, pd.CategoricalDtype)
        kind: FieldType = "category" if category else KINDS.get(getattr(column.dtype, "kind", "O"), "string")
        levels = tuple(column.cat.categories) if category else None
        dtype, nullable = str(column.dtype), bool(column.isna().any())
        fields.append(Field(name=str(name), type=kind, dtype=dtype, nullable=nullable, levels=levels))
    columns: Columns = {
        str(name): column.astype(object).where(column.notna(), None).tolist() for name, column in frame.items()
    }
    container: Literal["frame", "array"] = "frame" if frame is rows else "array"
    return Case(fitted, rows, Signature(container=container, inputs=tuple(fields), output=output), columns)


ROWS = 60
rng = np.random.default_rng(0)
NUMBERS = rng.normal(size=(ROWS, 3))
TARGETS = NUMBERS @ [1.0, 2.0, 3.0]
CLASSES = (TARGETS > 0) * 3 + (TARGETS > 2)
FRAME = pd.DataFrame(
    {
        "n": NUMBERS[:, 0],
        "k": rng.integers(0, 9, ROWS),
        "s": rng.choice(["a", "b", "ü"], ROWS),
        "flag": rng.random(ROWS) < 0.5,
    }
)
GAPS = FRAME[["n", "k"]].astype({"k": "Int64"}).where(rng.random((ROWS, 2)) < 0.8)


def encoded() -> Any:
    encoder = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        make_column_transformer((encoder, ["s"]), (StandardScaler(), ["n", "k"])), LogisticRegression(max_iter=1000)
    )


CONVERTIBLE: dict[str, Callable[[], Case]] = {
    "text labels": lambda: case(LogisticRegression(), NUMBERS, np.where(CLASSES > 1, "yes", "no")),
    "whole labels": lambda: case(RandomForestClassifier(5, random_state=0), NUMBERS.astype(np.float32), CLASSES),
    "true and false": lambda: case(DecisionTreeClassifier(max_depth=3, random_state=0), FRAME[["n", "k"]], CLASSES > 1),
    "no probabilities": lambda: case(RidgeClassifier(), NUMBERS, CLASSES),
    "a number": lambda: case(LinearRegression(), NUMBERS, TARGETS),
    "a column of numbers": lambda: case(LinearRegression(), NUMBERS, TARGETS.reshape(-1, 1)),
    "a number from a frame": lambda: case(RandomForestRegressor(5, random_state=0), FRAME[["k", "n"]], TARGETS),
    "small whole numbers": lambda: case(DecisionTreeRegressor(max_depth=3), FRAME[["k"]].to_numpy(np.uint8), TARGETS),
    "mixed columns": lambda: case(encoded(), FRAME, CLASSES),
    "categories": lambda: case(encoded(), FRAME.astype({"s": "category"}), CLASSES),
    "gaps": lambda: case(make_pipeline(SimpleImputer(), Ridge()), GAPS, TARGETS),
}
OTHERS: dict[str, Callable[[], Case]] = {
    "gaps in an array": lambda: case(
        HistGradientBoostingClassifier(max_iter=5), np.where(NUMBERS > 1, np.nan, NUMBERS), CLASSES
    ),
    "flags with gaps": lambda: case(
        make_pipeline(SimpleImputer(strategy="most_frequent"), DecisionTreeRegressor(max_depth=1)),
        FRAME[["flag"]].astype("boolean").where(NUMBERS[:, [0]] < 1).astype(object).where(lambda f: f.notna(), np.nan),
        TARGETS,
    ),
    "texts with gaps": lambda: case(
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(), Ridge()),
        FRAME[["s"]].where(NUMBERS[:, [0]] < 1),
        TARGETS,
    ),
}


@pytest.mark.parametrize("name", [*CONVERTIBLE, *OTHERS])
def test_joblib_answers_as_the_fitted_object(name: str, tmp_path: Path) -> None:
    made = (CONVERTIBLE | OTHERS)[name]()
    joblib.save(made.fitted, tmp_path / joblib.FILE)
    loaded = joblib.load((tmp_path / joblib.FILE).read_bytes(), manifest(signature=made.signature))
    relative = made.signature.output.task == "regression"
    assert difference(loaded.answer(made.columns), made.expected, relative=relative) < 1e-12
    one = {column: values[:1] for column, values in made.columns.items()}
    assert difference(loaded.answer(one), made.expected.take([0]), relative=relative) < 1e-12
    turned = dict(reversed(made.columns.items()))
    assert loaded.answer(turned) == loaded.answer(made.columns)


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_onnx_answers_as_the_fitted_object(name: str) -> None:
    made = CONVERTIBLE[name]()
    content, plan = onnx.convert(made.fitted, made.signature, "float32")
    loaded = onnx.load(content, described(made.signature, plan))
    relative = made.signature.output.task == "regression"
    assert difference(loaded.answer(made.columns), made.expected, relative=relative) < FORMATS["onnx"].tolerance
    assert plan.layout == ("columns" if name in ("mixed columns", "categories") else "matrix")
    for row in range(3):
        one = {column: values[row : row + 1] for column, values in made.columns.items()}
        assert difference(loaded.answer(one), made.expected.take([row]), relative=relative) < FORMATS["onnx"].tolerance
    turned = dict(reversed(made.columns.items()))
    assert loaded.answer(turned) == loaded.answer(made.columns)


@pytest.mark.parametrize("name", ["a number", "text labels"])
def test_onnx_in_double_precision_is_closer(name: str) -> None:
    made = CONVERTIBLE[name]()
    content, plan = onnx.convert(made.fitted, made.signature, "float64")
    found = onnx.load(content, described(made.signature, plan)).answer(made.columns)
    assert difference(found, made.expected, relative=name == "a number") < 1e-12


def test_shares_in_single_precision_are_rounded_to_what_they_hold() -> None:
    made = CONVERTIBLE["whole labels"]()  # five trees: a share is a fifth, two fifths …
    content, plan = onnx.convert(made.fitted, made.signature, "float32")
    found = onnx.load(content, described(made.signature, plan)).answer(made.columns).probabilities
    assert found is not None
    assert {share for shares in found for share in shares} == {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}


def test_onnx_answers_many_threads_at_once() -> None:
    made = CONVERTIBLE["mixed columns"]()
    content, plan = onnx.convert(made.fitted, made.signature, "float32")
    loaded = onnx.load(content, described(made.signature, plan))
    expected = loaded.answer(made.columns)
    wrong: list[int] = []

    def ask() -> None:
        wrong.extend(_ for _ in range(50) if loaded.answer(made.columns) != expected)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def described(signature: Signature, plan: Onnx | None) -> Manifest:
    """A manifest that says ONNX answers."""
    return manifest(signature=signature, runtime=Runtime(format="onnx", onnx=plan))


def test_each_format_is_in_the_table() -> None:
    assert {name: (kind.file, kind.runs_code) for name, kind in FORMATS.items()} == {
        "onnx": ("model.onnx", False),
        "joblib": ("model.joblib", True),
    }


# --- numbers that do not fit


@pytest.mark.parametrize("number", [1e300, -1e39, 10**50, 10**400], ids=lambda number: f"{type(number).__name__}")
@pytest.mark.parametrize(("name", "field"), [("a number", "x2"), ("mixed columns", "k")])
def test_a_number_too_large_for_a_graph_gets_no_answer(name: str, field: str, number: float) -> None:
    made = CONVERTIBLE[name]()
    content, plan = onnx.convert(made.fitted, made.signature, "float32")
    loaded = onnx.load(content, described(made.signature, plan))
    with pytest.raises(PredictionFailed, match=r"^A number is too large for the graph, which computes in float32\.$"):
        loaded.answer(made.columns | {field: [number, *made.columns[field][1:]]})
    assert len(loaded.answer(made.columns).values) == ROWS


def test_a_large_number_is_no_burden_for_a_double() -> None:
    made = CONVERTIBLE["a number"]()
    content, plan = onnx.convert(made.fitted, made.signature, "float64")
    loaded = onnx.load(content, described(made.signature, plan))
    columns: Columns = {"x0": [1e300], "x1": [0.0], "x2": [0.0]}
    assert loaded.answer(columns).values == pytest.approx(made.fitted.predict([[1e300, 0.0, 0.0]]).tolist())
    with pytest.raises(PredictionFailed, match=r"^A number is too large for the graph, which computes in float64\.$"):
        loaded.answer(columns | {"x1": [10**400]})
    with pytest.raises(PredictionFailed, match=r"^The model answered a number that is not finite\.$"):
        loaded.answer({name: [1.7e308] for name in columns})


@pytest.mark.parametrize(
    ("container", "dtype", "number"),
    [
        ("array", "float32", 1e300),
        ("array", "float16", 1e5),
        ("array", "float64", 10**400),
        ("array", "uint8", 256),
        ("array", "uint8", -1),
        ("array", "int64", 2**63),
        ("frame", "float32", 1e300),
        ("frame", "Float32", 1e300),
        ("frame", "float64", 10**400),
        ("frame", "uint8", 256),
        ("frame", "int64", 2**63),
        ("frame", "Int64", 2**63),
        ("frame", "Int8", 300),
        ("frame", "int64", None),
    ],
)
def test_a_number_that_does_not_fit_its_dtype_gets_no_answer(container: Any, dtype: str, number: float | None) -> None:
    kind: FieldType = "float" if "loat" in dtype else "integer"
    field = Field(name="x", type=kind, dtype=dtype)
    signature = Signature(container=container, inputs=(field,), output=Output(task="regression"))
    with pytest.raises(PredictionFailed, match=r"^A value does not fit the type that the model was fitted on\.$"):
        FittedObject(Says(lambda rows: np.zeros(len(rows))), signature).answer({"x": [number]})


def test_whole_numbers_are_handed_over_exactly() -> None:
    field = Field(name="x", type="integer", dtype="int64")
    for container in ("array", "frame"):
        signature = Signature(container=container, inputs=(field,), output=Output(task="regression"))
        assert np.asarray(as_inputs({"x": [2**62 + 1]}, signature)).tolist() == [[2**62 + 1]]


# --- what a model may do to a request


@dataclass
class Says:
    """A model made of a function."""

    predict: Callable[[Any], Any]


def test_a_model_that_raises_is_a_prediction_that_failed() -> None:
    fitted = FittedObject(Says(lambda rows: 1 // 0), REGRESSION)
    with pytest.raises(PredictionFailed, match=r"^The model raised ZeroDivisionError on these rows\.$"):
        fitted.answer({"x0": [1.0], "x1": [1.0]})
    with pytest.raises(PredictionFailed, match=r"^The model raised KeyError on these rows\.$"):
        fitted.answer({"x0": [1.0]})


def test_a_model_that_says_nonsense_is_a_prediction_that_failed() -> None:
    fitted = FittedObject(Says(lambda rows: ["?"]), REGRESSION)
    with pytest.raises(PredictionFailed, match=r"^The model answered something that is no number\.$"):
        fitted.answer({"x0": [1.0], "x1": [1.0]})


def graph(*nodes: Any, **outputs: Any) -> bytes:
    """An ONNX file of two numbers a row, made by hand; `outputs` are (type, shape) by name."""
    made = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info(onnx.MATRIX, TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


PLAN = Onnx(layout="matrix", dtype="float32", max_difference=0.0)
TWO: Columns = {"x0": [0.0, 3.0], "x1": [0.0, 1.0]}
SHARES = Output(task="classification", labels=(0, 1), classes=("a", "b"), probabilities=True)


@pytest.mark.parametrize(
    ("nodes", "outputs", "output", "says"),
    [
        (
            [helper.make_node("Identity", ["rows"], ["y"])],
            {"y": (TensorProto.FLOAT, [None, 2])},
            REGRESSION.output,
            "The model answered something that is no number.",
        ),
        (
            [helper.make_node("ReduceSum", ["rows"], ["y"], keepdims=0)],
            {"y": (TensorProto.FLOAT, [])},
            REGRESSION.output,
            "The model gave 1 answers for 2 rows.",
        ),
        (
            [helper.make_node("Div", ["rows", "rows"], ["q"]), helper.make_node("ReduceMax", ["q"], ["y"], axes=[1])],
            {"y": (TensorProto.FLOAT, [None, 1])},
            REGRESSION.output,
            "The model answered a number that is not finite.",
        ),
        (
            [helper.make_node("ArgMax", ["rows"], ["y"], axis=1, keepdims=0)],
            {"y": (TensorProto.INT64, [None])},
            SHARES,
            "The graph could not run these rows (IndexError).",
        ),
        (
            [
                helper.make_node("ArgMax", ["rows"], ["y"], axis=1, keepdims=0),
                helper.make_node("Identity", ["rows"], ["p"]),
            ],
            {"y": (TensorProto.INT64, [None]), "p": (TensorProto.FLOAT, [None, 2])},
            SHARES,
            "The model answered a number that is not finite.",  # the shares of the first row are all zero
        ),
        (
            [helper.make_node("Reshape", ["rows", "y"], ["z"]), helper.make_node("Shape", ["rows"], ["y"])][::-1],
            {"z": (TensorProto.FLOAT, [None, 2]), "y": (TensorProto.INT64, [2])},
            Output(task="classification", labels=("a",), classes=("a",)),
            "The model answered a class that its signature does not have.",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_a_graph_that_says_nonsense_is_a_prediction_that_failed(
    nodes: list[Any], outputs: dict[str, Any], output: Output, says: str
) -> None:
    signature = Signature(container="array", inputs=REGRESSION.inputs, output=output)
    loaded = onnx.load(graph(*nodes, **outputs), described(signature, PLAN))
    with pytest.raises(PredictionFailed) as refused:
        loaded.answer(TWO)
    assert str(refused.value) == says


def test_a_graph_that_cannot_run_is_a_prediction_that_failed() -> None:
    nodes = [helper.make_node("Constant", [], ["n"], value_ints=[3]), helper.make_node("Reshape", ["rows", "n"], ["y"])]
    loaded = onnx.load(graph(*nodes, y=(TensorProto.FLOAT, [3])), described(REGRESSION, PLAN))
    with pytest.raises(PredictionFailed, match=r"^The graph could not run these rows \(\w+\)\.$"):
        loaded.answer(TWO)


# --- files that do not load


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\x08\x07not a graph", b"\x1f\x8b zipped", b"PK\x03\x04", (b"cos\nsystem\n.")],
    ids=repr,
)
def test_what_is_no_pickle_is_not_unpickled(content: bytes) -> None:
    with pytest.raises(FormatMismatch, match=r"^model\.joblib is not in joblib's format\.$"):
        joblib.load(content, manifest())


def test_a_pickle_that_needs_what_is_not_installed_says_so() -> None:
    with pytest.raises(
        EnvironmentMismatch, match=r"needs the package 'no_such_package', which is not installed here; 'lec"
    ):
        joblib.load(b"\x80\x04cno_such_package\nThing\n.", manifest())


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x80", "IndexError|EOFError"),
        (pickle.dumps(list(range(1000)))[:-500], "UnpicklingError|EOFError"),
        (b"\x80\x04cos\nno_such_function\n.", "AttributeError"),
        (b"\x80\x04cbuiltins\nint\n(S'x'\ntR.", "ValueError"),
        (b"\x80\xff.", "ValueError"),
    ],
)
def test_a_damaged_pickle_is_not_loaded(content: bytes, name: str) -> None:
    with pytest.raises(LoadFailed, match=rf"^model\.joblib could not be loaded \(({name})\)\.$"):
        joblib.load(content, manifest())


@pytest.mark.parametrize(
    "content",
    [b"", b"not a graph", pickle.dumps({"a": 1}), graph(helper.make_node("Identity", ["rows"], ["y"]))[:-20]],
    ids=["empty", "text", "pickle", "half"],
)
def test_what_is_no_graph_is_not_run(content: bytes) -> None:
    with pytest.raises(FormatMismatch, match=r"^model\.onnx is not a graph that ONNX Runtime can run \(\w+\)\.$"):
        onnx.load(content, described(REGRESSION, PLAN))


def test_a_graph_does_not_read_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(np.arange(2, dtype=np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    content = graph(helper.make_node("Add", ["rows", "w"], ["y"]), y=(TensorProto.FLOAT, [None, 2]))
    for location in ("secret", str(tmp_path / "secret"), f"../{tmp_path.name}/secret"):
        model = onnx_itself.ModelProto.FromString(content)
        weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
        for key, value in {"location": location, "offset": "0", "length": "8"}.items():
            weights.external_data.add(key=key, value=value)
        model.graph.initializer.append(weights)
        with pytest.raises(FormatMismatch, match="is not a graph that ONNX Runtime can run"):
            onnx.load(model.SerializeToString(), described(REGRESSION, PLAN))


def test_a_graph_that_the_manifest_does_not_describe_is_not_run() -> None:
    made = CONVERTIBLE["a number"]()
    content, plan = onnx.convert(made.fitted, made.signature, "float32")
    with pytest.raises(FormatMismatch, match=r"^The manifest does not say how model\.onnx takes its rows\.$"):
        onnx.load(content, described(made.signature, None))
    columns = plan.model_copy(update={"layout": "columns"})
    with pytest.raises(FormatMismatch, match=r"^model\.onnx does not take the inputs of the signature\.$"):
        onnx.load(content, described(made.signature, columns))


def test_what_cannot_be_converted_says_why() -> None:
    with pytest.raises(Exception, match="Unable to find a shape calculator for type"):
        onnx.convert(Says(lambda rows: rows), REGRESSION, "float32")


def test_converting_prints_and_warns_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    made = CONVERTIBLE["mixed columns"]()
    onnx.convert(made.fitted, made.signature, "float32")
    with pytest.raises(Exception, match=r"\w"):
        onnx.convert(OTHERS["texts with gaps"]().fitted, made.signature, "float32")
    assert capfd.readouterr() == ("", "")


# --- what travels in a joblib file


def test_what_a_notebook_defined_travels_by_value(tmp_path: Path) -> None:
    notebook = """
import sys
from pathlib import Path
from contract.formats import joblib
OFFSET = 5
def shifted(value):
    return value + OFFSET
class Model:
    def predict(self, rows):
        return [shifted(row) for row in rows[:, 0]]
class Wrapped(Model):
    def predict(self, rows):
        return super().predict(rows)
joblib.save(Wrapped(), Path(sys.argv[1]))
"""
    path = tmp_path / joblib.FILE
    subprocess.run([sys.executable, "-c", notebook, str(path)], check=True, cwd=ROOT)
    loaded = joblib.load(path.read_bytes(), manifest())
    assert loaded.answer({"x0": [1.0, 2.0], "x1": [0.0, 0.0]}) == Answers([6.0, 7.0])


def test_what_pickle_cannot_find_by_name_travels_by_value(tmp_path: Path) -> None:
    class Local:
        def predict(self, rows: Any) -> Any:
            return [row * 2 for row in rows[:, 0]]

    for model in (Local(), Says(lambda rows: [row * 2 for row in rows[:, 0]])):
        joblib.save(model, tmp_path / joblib.FILE)
        loaded = joblib.load((tmp_path / joblib.FILE).read_bytes(), manifest())
        assert loaded.answer({"x0": [1.0, 2.0], "x1": [0.0, 0.0]}) == Answers([2.0, 4.0])


def test_an_installed_estimator_is_stored_as_joblib_stores_it(tmp_path: Path) -> None:
    fitted = CONVERTIBLE["whole labels"]().fitted
    joblib.save(fitted, tmp_path / joblib.FILE)
    plain = io.BytesIO()
    joblib_itself.dump(fitted, plain)
    assert len((tmp_path / joblib.FILE).read_bytes()) == pytest.approx(len(plain.getvalue()), rel=0.01)
    assert b"cloudpickle" not in (tmp_path / joblib.FILE).read_bytes()


@pytest.mark.parametrize("thing", [(n for n in [1]), threading.Lock()], ids=lambda held: type(held).__name__)
def test_what_belongs_to_a_process_cannot_be_saved(thing: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        joblib.save(Says(thing), tmp_path / joblib.FILE)


def test_messages_never_show_what_was_in_the_file() -> None:
    with pytest.raises(LoadFailed) as refused:
        joblib.load(b"\x80\x04cbuiltins\nint\n(S'hunter2'\ntR.", manifest())
    assert "hunter2" not in str(refused.value)
