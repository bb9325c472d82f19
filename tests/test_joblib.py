"""contract.formats.joblib: a file answers as the fitted object it was made of, or does not load."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.answers import difference
from contract.errors import EnvironmentMismatch, FormatMismatch, LoadFailed, PredictionFailed
from contract.formats import joblib
from contract.formats.joblib import FittedObject
from contract.formats.rows import as_inputs
from contract.signature import Field, FieldType, Output, Signature
from tests.fitted import CONVERTIBLE, OTHERS, Says
from tests.samples import REGRESSION, manifest


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


# --- what a model may do to a request


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


# --- numbers that do not fit


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


def test_messages_never_show_what_was_in_the_file() -> None:
    with pytest.raises(LoadFailed) as refused:
        joblib.load(b"\x80\x04cbuiltins\nint\n(S'hunter2'\ntR.", manifest())
    assert "hunter2" not in str(refused.value)
