"""The service against bad artifacts, published one after the other onto a good version, which goes on answering."""

import io
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib as real_joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from contract import golden
from contract.answers import Answers, Columns
from contract.formats import joblib, onnx
from contract.manifest import Onnx, Runtime
from contract.store import Store
from tests.exploding import ENDLESS, PICKLES, fill, loop
from tests.hostile import ALIVE
from tests.live import Service, X, model_processes, multiplication, publish_graph, running, until
from tests.samples import manifest, sealed

MEMORY = 1 << 29
LOAD_S = 10
GRAPH = Runtime(format="onnx", onnx=Onnx(layout="matrix", dtype="float64", max_difference=0.0))
ROWS: Columns = {"x": [1.0, 2.0]}
Make = Callable[[Store, str, Path], int]


def line(**changes: Any) -> bytes:
    """A line through 0 with the slope 99, with attributes that it got otherwise."""
    model = LinearRegression().fit(pd.DataFrame({"x": [0.0, 1.0, 2.0]}), [0.0, 99.0, 198.0])
    vars(model).update(changes)
    file = io.BytesIO()
    real_joblib.dump(model, file)
    return file.getvalue()


def put(store: Store, name: str, content: bytes, factor: float = 99.0, file: str = joblib.FILE, **changes: Any) -> int:
    """A version with these bytes as its model."""
    rows = golden.write(ROWS, Answers([factor, 2 * factor]))
    runtime = GRAPH if file == onnx.FILE else Runtime(format="joblib")
    given = {"model": name, "signature": X, "runtime": runtime} | changes
    return store.publish(sealed(store, {file: content, golden.GOLDEN: rows}, **given))


def too_large(store: Store, name: str, folder: Path) -> int:
    """A version whose file is a hole, larger than the memory for it."""
    stage = store.stage()
    stage.path(golden.GOLDEN).write_bytes(b"{}")
    stage.path(onnx.FILE).touch()
    os.truncate(stage.path(onnx.FILE), MEMORY + 1)
    stage.seal(manifest(model=name, signature=X, runtime=GRAPH))
    return store.publish(stage)


def hostile(what: str) -> Make:
    return lambda store, name, folder: put(store, name, ALIVE[what](folder / "marker"))


BAD: dict[str, tuple[Make, str]] = {
    "os.system": (hostile("os.system"), "forbidden_type"),
    "a path through a module": (hostile("a path through a module"), "forbidden_type"),
    "source code in a distribution": (hostile("scipy.stats"), "forbidden_type"),
    "a function of the notebook": (hostile("cloudpickle"), "forbidden_type"),
    "in an array of objects": (hostile("in an array of objects"), "forbidden_type"),
    "in joblib's wrapper of an array": (hostile("in joblib's wrapper of an array"), "forbidden_type"),
    "a second pickle": (lambda store, name, _: put(store, name, line() + pickle.dumps(1)), "trailing_bytes"),
    "a pickle as a graph": (lambda store, name, _: put(store, name, line(), file=onnx.FILE), "format_mismatch"),
    "a graph as a pickle": (lambda store, name, _: put(store, name, multiplication(99.0)), "format_mismatch"),
    "an exploding pickle": (lambda store, name, _: put(store, name, PICKLES["a million opcodes"]), "resource_limit"),
    "inflated bytes": (lambda store, name, _: put(store, name, PICKLES["numpy's bytes"]), "resource_limit"),
    "4 TiB": (lambda store, name, _: put(store, name, fill(), file=onnx.FILE), "self_test_failed"),
    "NaN": (lambda store, name, _: put(store, name, line(coef_=np.array([np.nan]))), "self_test_failed"),
    "another shape": (lambda store, name, _: put(store, name, line(coef_=np.ones((3, 1)))), "self_test_failed"),
    "it raises": (lambda store, name, _: put(store, name, line(coef_=None)), "self_test_failed"),
    "other answers": (lambda store, name, _: put(store, name, line(), 98.0), "self_test_mismatch"),
    "a file larger than the memory": (too_large, "resource_limit"),
}
HANGING: dict[str, tuple[Make, str]] = {
    "loops": (lambda store, name, _: put(store, name, loop(), file=onnx.FILE), "self_test_timeout"),
    "nests": (lambda store, name, _: put(store, name, ENDLESS), "resource_limit"),
}
"""Each onto a model of its name, so that they hang side by side."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("bad") / "store")
    for name in ("double", *HANGING):
        publish_graph(store, name)
    return store


@pytest.fixture(scope="module")
def service(stored: Store) -> Iterator[Service]:
    with running(stored, pickle="known", model_memory_bytes=MEMORY, load_timeout_s=LOAD_S) as service:
        yield service


def failures(service: Service, name: str) -> dict[int, str]:
    return {failed["version"]: failed["code"] for failed in service.get(f"/models/{name}")["failed"]}


def answers_as_before(service: Service, name: str) -> None:
    answer = service.predict({"x": 3}, f"/models/{name}/predict").json()
    assert (answer["prediction"], answer["version"]) == (6.0, 1)


def test_each_stays_out_and_the_good_version_answers(service: Service, stored: Store, tmp_path: Path) -> None:
    hanging = {name: make(stored, name, tmp_path) for name, (make, _) in HANGING.items()}
    expected = {}
    for what, (make, code) in BAD.items():
        number = make(stored, "double", tmp_path)
        expected[number] = code
        until(lambda number=number: number in failures(service, "double"))  # type: ignore[misc]
        assert failures(service, "double") == expected, what
        answers_as_before(service, "double")
        assert service.client.get("/health/ready").status_code == 200
        assert not (tmp_path / "marker").exists(), what
    for name, number in hanging.items():
        until(lambda name=name: failures(service, name))  # type: ignore[misc]
        assert failures(service, name) == {number: HANGING[name][1]}
        answers_as_before(service, name)
    assert service.process.poll() is None
    until(lambda: not model_processes(service.process.pid))


def test_a_sound_one_of_known_types_takes_over_with_a_warning(service: Service, stored: Store) -> None:
    number = put(stored, "double", line(), environment={"scikit-learn": "0.24.2"})
    until(lambda: service.get("/models/double")["champion"] == number)
    assert service.predict({"x": 3}, "/models/double/predict").json()["prediction"] == pytest.approx(297.0)
    for path in ("/models/double", f"/models/double/versions/{number}"):
        [warning] = service.get(path)["warnings"]
        assert warning.startswith("It was fitted with scikit-learn 0.24.2, and ")
    assert service.get("/models/double/versions/1")["warnings"] == []
