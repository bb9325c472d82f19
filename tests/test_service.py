"""The whole service: right answers, while versions come and go, models misbehave and callers leave."""

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from contract.answers import Answers
from contract.formats import joblib
from contract.manifest import Runtime
from contract.store import Store
from tests.live import (
    DIES,
    HANGS,
    PATIENCE_S,
    RAISES,
    WAITS,
    Service,
    Times,
    Unpickled,
    damage,
    model_processes,
    processes,
    publish,
    publish_graph,
    republish,
    running,
    until,
)
from tests.raw import request
from tests.test_notebooks import names_of

# --- the answers are the fitted object's


@pytest.fixture(scope="module")
def data(example_store: Store) -> dict[str, pd.DataFrame]:
    """Every row that the example models were trained on or held to."""
    flowers = names_of("iris", "flowers_seen, ")["flowers"]
    cardio = names_of("cardio", "seen, held_out")
    rows = {"iris": [flowers], "cardio": [cardio["patients"][list(cardio["LIMITS"])]]}
    for name, frames in rows.items():
        held_out = pd.read_parquet(example_store.artifact(name).folder / "evaluation.parquet")
        frames.append(held_out.drop(columns="__truth__").astype(frames[0].dtypes))
    return {name: pd.concat(frames) for name, frames in rows.items()}


@pytest.fixture(scope="module")
def unconverted(example_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The example models as they were fitted."""
    store = Store(tmp_path_factory.mktemp("unconverted") / "store")
    for name in ("iris", "cardio"):
        runtime = Runtime(format="joblib", reason="This is a test.")
        republish(store, example_store.artifact(name), without=["model.onnx"], runtime=runtime)
    with running(store) as service:
        yield service


def fitted_answers(store: Store, name: str, rows: pd.DataFrame) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """What scikit-learn itself says."""
    artifact = store.artifact(name)
    model = joblib.load(artifact.read(joblib.FILE), artifact.manifest).chain.model
    names = dict(
        zip(artifact.manifest.signature.output.labels, artifact.manifest.signature.output.classes, strict=True)
    )
    return [names[label] for label in model.predict(rows).tolist()], model.predict_proba(rows)


@pytest.mark.parametrize("name", ["iris", "cardio"])
@pytest.mark.parametrize(("format_name", "tolerance"), [("onnx", 1e-5), ("joblib", 0)])
def test_every_row_is_answered_as_the_fitted_object_answers_it(
    name: str,
    format_name: str,
    tolerance: float,
    examples: Service,
    unconverted: Service,
    example_store: Store,
    data: dict[str, pd.DataFrame],
) -> None:
    service = examples if format_name == "onnx" else unconverted
    assert service.get(f"/models/{name}/versions/1")["runtime"]["format"] == format_name
    rows, path = data[name], f"/models/{name}/predict"
    assert len(rows) >= {"iris": 188, "cardio": 4000}[name]
    labels, shares = fitted_answers(example_store, name, rows)
    records = rows.to_dict("records")

    answers = service.predict(records, path).json()["predictions"]
    assert [answer["prediction"] for answer in answers] == labels
    found = np.array([list(answer["probabilities"].values()) for answer in answers])
    assert np.abs(found - shares).max() <= tolerance
    assert [answer["confidence"] for answer in answers] == [
        answer["probabilities"][answer["prediction"]] for answer in answers
    ]
    assert not any(answer["warnings"] for answer in answers)

    for number in random.Random(0).sample(range(len(rows)), 30):
        names = list(records[number])
        random.Random(number).shuffle(names)
        alone = service.predict({field: records[number][field] for field in names}, path).json()
        assert alone["prediction"] == labels[number]
        assert np.abs(np.array(list(alone["probabilities"].values())) - shares[number]).max() <= tolerance


# --- versions come


class Clients:
    """Callers who never stop asking; each on a connection of its own."""

    def __init__(self, service: Service, path: str, number: int = 3) -> None:
        self.service, self.path = service, path
        self.seen: list[list[int]] = [[] for _ in range(number)]
        self.stopping = threading.Event()
        self.pool = ThreadPoolExecutor(number)
        self.futures = [self.pool.submit(self._ask, seen) for seen in self.seen]

    def _ask(self, seen: list[int]) -> None:
        with httpx.Client(base_url=self.service.url, trust_env=False, timeout=PATIENCE_S) as client:
            while not self.stopping.wait(0.005):  # or they would take the cores from the models that load
                response = client.post(self.path, json=[{"x": 1}, {"x": 2}])
                assert response.status_code == 200, response.text
                answer = response.json()
                version = answer["version"]
                assert [row["prediction"] for row in answer["predictions"]] == [version, 2.0 * version]
                seen.append(version)

    def all_see(self, version: int) -> bool:
        for future in self.futures:
            if future.done():
                future.result()
        return all(seen and seen[-1] == version for seen in self.seen)

    def finish(self) -> list[list[int]]:
        self.stopping.set()
        for future in self.futures:
            future.result(PATIENCE_S)
        return self.seen


def break_file(store: Store, name: str) -> None:
    damage(store.artifact("times", publish_graph(store, "times", 99.0)), name)


BROKEN: dict[str, tuple[Callable[[Store], object], str, str]] = {
    "a flipped bit in the graph": (
        lambda store: break_file(store, "model.onnx"),
        "checksum_mismatch",
        "model.onnx is not the file that was published: its SHA-256 differs from the manifest's.",
    ),
    "a flipped bit in the golden rows": (
        lambda store: break_file(store, "golden.json"),
        "checksum_mismatch",
        "golden.json is not the file that was published: its SHA-256 differs from the manifest's.",
    ),
    "other answers than when it was fitted": (
        lambda store: publish(store, "times", Times(99.0), answers=Answers([1.0, 1.0])),
        "self_test_mismatch",
        "The model answers its golden rows otherwise than when it was fitted: ",
    ),
    "a model that raises": (
        lambda store: publish(store, "times", Times(99.0), rows={"x": [RAISES]}, answers=Answers([1.0])),
        "self_test_failed",
        "The model could not answer its golden rows: The model raised ValueError on these rows.",
    ),
    "a package that is not here": (
        lambda store: publish(store, "times", Unpickled(__import__, "no_such_package"), answers=Answers([1.0, 1.0])),
        "environment_mismatch",
        "The model needs the package 'no_such_package', which is not installed here; ",
    ),
    "a model that hangs while it loads": (
        lambda store: publish(store, "times", Unpickled(time.sleep, 1e6), answers=Answers([1.0, 1.0])),
        "resource_limit",
        "The model was not loaded within 5 s.",
    ),
}


def test_versions_replace_each_other_while_callers_ask_and_broken_ones_stay_out(store: Store) -> None:
    publish_graph(store, "times", 1.0)
    good, number = [1], 1
    with running(store, load_timeout_s=5) as service:
        clients = Clients(service, "/predict")
        until(lambda: clients.all_see(1))
        expected = {}
        for what, (publish_broken, code, reason) in BROKEN.items():
            number += 1
            publish_broken(store)
            expected[number] = (what, code, reason)
            until(lambda: {found["version"] for found in service.get("/models/times")["failed"]} == set(expected))
            assert service.get("/models/times")["champion"] == good[-1], what
            number += 1
            publish(store, "times", Times(float(number))) if number % 4 else publish_graph(
                store, "times", float(number)
            )
            good.append(number)
            until(lambda: clients.all_see(good[-1]))
        for seen in clients.finish():
            assert seen == sorted(seen), "an old version answered after a new one"
            assert set(seen) <= set(good)
            assert set(seen) >= {1, good[-1]}
        found = {failure["version"]: failure for failure in service.get("/models/times")["failed"]}
        assert found.keys() == expected.keys()
        for version, (what, code, reason) in expected.items():
            assert found[version]["code"] == code, what
            assert found[version]["reason"].startswith(reason), what
        until(lambda: len(model_processes(service.process.pid)) == 1)
        assert service.get("/health")["status"] == "ready"


def test_a_request_that_began_with_a_version_ends_with_it(store: Store) -> None:
    publish(store, "times", Times(2.0))
    with running(store) as service:
        [old] = model_processes(service.process.pid)
        url = httpx.URL(service.url)
        with socket.create_connection((url.host, url.port or 80), timeout=PATIENCE_S) as connection:
            connection.sendall(request("POST", "/predict", "Connection: close", body=b'{"x": 7.0}')[:-6])
            publish(store, "times", Times(3.0))
            until(lambda: service.predict({"x": 7}).json()["version"] == 2)
            assert old in processes()
            connection.sendall(b": 7.0}")
            with connection.makefile("rb") as answer:
                status, _, rest = answer.read().partition(b"\r\n")
        assert status == b"HTTP/1.1 200 OK"
        document = json.loads(rest.partition(b"\r\n\r\n")[2])
        assert (document["version"], document["prediction"]) == (1, 14.0)
        until(lambda: old not in processes())


def test_a_store_that_is_moved_away_takes_no_model_with_it(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "double")
    publish(store, "triple", Times(3.0))
    with running(store) as service:
        away = store.root.rename(tmp_path / "away")
        for model, product in (("double", 4.0), ("triple", 6.0)) * 10:
            assert service.predict({"x": 2}, f"/models/{model}/predict").json()["prediction"] == product
            time.sleep(0.05)
        assert service.get("/health")["models"] == {"double": 1, "triple": 1}
        away.rename(store.root)
        publish_graph(store, "double", 5.0)
        until(lambda: service.predict({"x": 2}, "/models/double/predict").json()["prediction"] == 10.0)


def test_old_versions_are_loaded_when_they_are_asked_for_and_the_oldest_let_go(store: Store, tmp_path: Path) -> None:
    for number in range(1, 6):
        folder = tmp_path / str(number)
        folder.mkdir()
        publish(store, "times", Times(float(number), folder))
        (folder / "asked").unlink()

    def ask(number: int, x: float = 1.0) -> Any:
        return service.predict({"x": x}, f"/models/times/versions/{number}/predict").json()

    with running(store, pinned_versions=2) as service, ThreadPoolExecutor(20) as pool:
        assert len(model_processes(service.process.pid)) == 1
        answers = list(pool.map(ask, [1] * 20))
        assert {(answer["version"], answer["prediction"]) for answer in answers} == {(1, 1.0)}
        assert len({answer["id"] for answer in answers}) == 20
        asked = (tmp_path / "1" / "asked").read_text()
        assert asked.startswith("[1.0, 1.0]\n[1.0]\n")  # the golden rows and the example: it was loaded
        assert asked.count("[1.0, 1.0]\n[1.0]\n") == 1  # once

        waiting = pool.submit(ask, 1, WAITS)
        until(lambda: str(WAITS) in (tmp_path / "1" / "asked").read_text())
        for number in (2, 3, 4):
            assert ask(number)["prediction"] == number
        until(lambda: len(model_processes(service.process.pid)) == 4)  # the newest, two that were kept, one at work
        assert not waiting.done()
        (tmp_path / "1" / "go").touch()
        assert (waiting.result()["version"], waiting.result()["prediction"]) == (1, WAITS)
        until(lambda: len(model_processes(service.process.pid)) == 3)
        assert ask(1)["prediction"] == 1.0


# --- models misbehave


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A service with a model that misbehaves and one that does not, and the folder in which the former takes notes."""
    folder = tmp_path_factory.mktemp("workshop")
    store = Store(folder / "store")
    publish(store, "moody", Times(3.0, folder))
    publish_graph(store, "steady", 2.0)
    with running(store, predict_timeout_s=8) as service:
        yield service, folder
        assert "Traceback" not in service.complaints


def moody(service: Service, x: float) -> httpx.Response:
    with httpx.Client(base_url=service.url, trust_env=False, timeout=PATIENCE_S) as client:
        return client.post("/models/moody/predict", json={"x": x})


def busy(service: Service, folder: Path, pool: ThreadPoolExecutor) -> Future[httpx.Response]:
    """A request that the model works on until the file `go` is there."""
    (folder / "go").unlink(missing_ok=True)
    (folder / "asked").unlink(missing_ok=True)
    first = pool.submit(moody, service, WAITS)
    until((folder / "asked").exists)
    return first


def test_a_slow_model_delays_nobody_else(workshop: tuple[Service, Path]) -> None:
    service, folder = workshop
    with ThreadPoolExecutor(4) as pool:
        slow = busy(service, folder, pool)
        queued = pool.submit(moody, service, 6.0)
        for _ in range(20):
            assert service.predict({"x": 1}, "/models/steady/predict").json()["prediction"] == 2.0
        for path in ("/health", "/health/live", "/models", "/openapi.json", "/docs"):
            assert service.client.get(path).status_code == 200
        assert not slow.done()
        assert not queued.done()
        (folder / "go").touch()
        assert slow.result().json()["prediction"] == 15.0
        assert queued.result().json()["prediction"] == 18.0


@pytest.mark.parametrize(
    ("poison", "code", "detail"),
    [
        (RAISES, "prediction_failed", "The model raised ValueError on these rows."),
        (DIES, "model_crashed", "The process of the model died while it worked on these rows."),
    ],
)
def test_one_poisonous_request_fails_alone(
    workshop: tuple[Service, Path], poison: float, code: str, detail: str
) -> None:
    service, folder = workshop
    rows = [float(x) for x in range(20, 40)]
    rows[7] = poison
    with ThreadPoolExecutor(24) as pool:
        first = busy(service, folder, pool)
        asked = [pool.submit(moody, service, x) for x in rows]
        (folder / "go").touch()
        assert first.result().status_code == 200
        answers = [future.result() for future in asked]
        failed = answers.pop(7)
        assert [answer.json()["prediction"] for answer in answers] == [3 * x for x in rows if x != poison]
        assert (failed.status_code, failed.json()["code"], failed.json()["detail"]) == (500, code, detail)
        assert failed.headers["content-type"] == "application/problem+json"
        assert moody(service, 2.0).json()["prediction"] == 6.0


def test_a_model_that_hangs_is_given_up_and_the_next_request_answered(workshop: tuple[Service, Path]) -> None:
    service, _ = workshop
    failed = moody(service, HANGS)
    assert (failed.status_code, failed.json()["code"]) == (504, "deadline_exceeded")
    assert failed.json()["detail"] == "The model did not answer within 8 s."
    assert service.predict({"x": 1}, "/models/steady/predict").status_code == 200
    assert until(lambda: moody(service, 2.0).json().get("prediction")) == 6.0


def test_callers_who_leave_while_they_wait_harm_nobody(workshop: tuple[Service, Path]) -> None:
    service, folder = workshop
    with ThreadPoolExecutor(4) as pool:
        first = busy(service, folder, pool)
        url = httpx.URL(service.url)
        for _ in range(10):
            with socket.create_connection((url.host, url.port or 80)) as connection:
                head = "POST /models/moody/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                connection.sendall(f'{head}Content-Length: 10\r\n\r\n{{"x": 8.0}}'.encode())
        queued = pool.submit(moody, service, 6.0)
        (folder / "go").touch()
        assert first.result().json()["prediction"] == 15.0
        assert queued.result().json()["prediction"] == 18.0
    assert service.get("/health")["status"] == "ready"


# --- what the process with the sockets never touches

HEAVY = {"sklearn", "pandas", "papermill", "joblib", "cloudpickle", "dill", "skops", "scipy", "pyarrow", "nbformat"}

TELLS = """
import atexit, os, sys
def tell():
    with open(os.path.join(os.environ["TOLD"], str(os.getpid())), "w") as file:
        file.write("\\n".join(sys.modules))
atexit.register(tell)
"""

LACKS = """
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Lacking())
"""


@pytest.fixture
def both_kinds(store: Store) -> Store:
    """A store with a model of each format."""
    publish_graph(store, "graph")
    publish(store, "object", Times(3.0))
    return store


def test_the_process_with_the_sockets_never_imports_what_fits_or_unpickles(both_kinds: Store, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(TELLS)
    with running(both_kinds, environment={"PYTHONPATH": str(tmp_path), "TOLD": str(tmp_path)}) as service:
        for model, product in (("graph", 2.0), ("object", 3.0)):
            assert service.predict({"x": 1}, f"/models/{model}/predict").json()["prediction"] == product
        for path in ("/docs", "/openapi.json", "/models/object/versions/1"):
            assert service.client.get(path).status_code == 200
        assert service.stop() == 0
        modules = (tmp_path / str(service.process.pid)).read_text().splitlines()
    assert {"serving.app", "onnxruntime", "fastapi"} <= set(modules)
    assert not {name.partition(".")[0] for name in modules} & HEAVY


def test_where_scikit_learn_is_not_installed_graphs_are_served_all_the_same(both_kinds: Store, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(LACKS.format(heavy=HEAVY))
    with running(both_kinds, environment={"PYTHONPATH": str(tmp_path)}) as service:
        assert service.predict({"x": 1}, "/models/graph/predict").json()["prediction"] == 2.0
        assert service.get("/health")["status"] == "degraded"
        [failure] = service.get("/models/object")["failed"]
        assert failure["code"] == "environment_mismatch"
        assert failure["reason"] == (
            "The model needs the package 'joblib', which is not installed here; "
            "'lectern[joblib]' brings what scikit-learn's models need."
        )
        refused = service.predict({"x": 1}, "/models/object/predict")
        assert (refused.status_code, refused.json()["code"]) == (503, "version_failed")
        assert failure["reason"] in refused.json()["detail"]
