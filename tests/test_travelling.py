"""contract.formats.joblib: what a notebook defined travels inside the file, by value."""

import io
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import joblib as joblib_itself
import numpy as np
import pytest

from contract.answers import Answers
from contract.child import Child
from contract.formats import joblib
from contract.formats.chain import Chain
from contract.limits import Limits
from contract.signature import Output
from tests.fitted import CONVERTIBLE, Says
from tests.samples import REGRESSION, artifact, manifest

ROOT = Path(__file__).parents[1]


MODULE = """
import numpy as np
LIMIT = 10.0
def clipped(rows):
    return np.minimum(rows, LIMIT)
class Scaler:
    def fit(self, rows):
        self.most = float(np.max(rows))
        return self
    def transform(self, rows):
        return clipped(rows) / self.most
class Model:
    def predict(self, rows):
        return rows[:, 0] * 100
"""
NOTEBOOK = """
import functools, json, sys
from pathlib import Path
import numpy as np
import preparing
from contract.formats import joblib
from contract.formats.chain import Chain
OFFSET = 5
def shifted(value):
    return value + OFFSET
def add(offset, rows):
    return rows + offset
class Model:
    def predict(self, rows):
        return [shifted(row) for row in rows[:, 0]]
class Wrapped(Model):
    def predict(self, rows):
        return [value * 2 for value in super().predict(rows)]
    def double(self, rows):
        return rows * 2
class Names(dict):
    def __missing__(self, key):
        return f"no {key}"
def bound(offset):
    def inside(rows):
        return shifted(rows) + offset
    return inside
things = {
    "a class and what it refers to": Wrapped(),
    "functions": Chain([shifted, lambda rows: rows * OFFSET], Model()),
    "a closure": Chain([bound(100)], Model()),
    "part of a function": Chain([functools.partial(add, 3)], Model()),
    "a method": Chain([Wrapped().double], Model()),
    "a mapping": Chain([], Model(), [lambda values: np.round(values).astype(int), Names({6: "six"})]),
    "a local module": Chain([preparing.clipped, preparing.Scaler().fit([[20.0]])], preparing.Model()),
    "both": Chain([preparing.clipped, shifted], Model()),
}
folder = Path(sys.argv[1])
travelled = {}
for i, (name, thing) in enumerate(things.items()):
    travelled[name] = joblib.save(thing, folder / f"{i}", [preparing])
import cloudpickle
assert not cloudpickle.list_registry_pickle_by_value()
print(json.dumps(travelled))
"""
TRAVELLERS: dict[str, tuple[set[str], list[Any]]] = {  # what travels, and the answers for x0 = 1 and x0 = 20
    "a class and what it refers to": ({"Wrapped", "Model", "shifted"}, [12.0, 50.0]),
    "functions": ({"shifted", "<lambda>", "Model"}, [35.0, 130.0]),
    "a closure": ({"bound.<locals>.inside", "shifted", "Model"}, [111.0, 130.0]),
    "part of a function": ({"add", "Model", "shifted"}, [9.0, 28.0]),
    "a method": ({"Wrapped", "Model", "shifted"}, [7.0, 45.0]),
    "a mapping": ({"Model", "shifted", "<lambda>", "Names"}, ["six", "no 25"]),
    "a local module": ({"clipped", "Scaler", "Model"}, [5.0, 50.0]),
    "both": ({"clipped", "shifted", "Model"}, [11.0, 20.0]),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """Files that a notebook wrote, and what it was told that travels in each."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "preparing.py").write_text(MODULE)
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", NOTEBOOK, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    (folder / "preparing.py").unlink()
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("name", TRAVELLERS)
def test_what_a_notebook_defined_travels_and_answers_elsewhere(
    saved: tuple[Path, dict[str, list[str]]], name: str, tmp_path: Path
) -> None:
    folder, travelled = saved
    names, answers = TRAVELLERS[name]
    assert set(travelled[name]) == names
    assert len(travelled[name]) == len(names)
    texts = isinstance(answers[0], str)
    output = Output(task="classification", type="string") if texts else Output(task="regression")
    signature = REGRESSION.model_copy(update={"output": output})
    content = (folder / str(list(TRAVELLERS).index(name))).read_bytes()
    version = artifact(tmp_path, {joblib.FILE: content}, signature=signature)
    with closing(Child(version, "joblib", Limits(60, 60), warm=True)) as child:
        assert child.answer({"x0": [1.0, 20.0], "x1": [0.0, 0.0]}) == Answers(answers)


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
    assert (tmp_path / joblib.FILE).read_bytes() == plain.getvalue()
    assert b"cloudpickle" not in (tmp_path / joblib.FILE).read_bytes()


def test_a_chain_of_installed_things_travels_by_reference(tmp_path: Path) -> None:
    chain = Chain([CONVERTIBLE["a number"]().fitted.predict], CONVERTIBLE["a number"]().fitted, [np.round])
    assert joblib.save(chain, tmp_path / joblib.FILE) == []
    plain = io.BytesIO()
    joblib_itself.dump(chain, plain)
    assert (tmp_path / joblib.FILE).read_bytes() == plain.getvalue()


def generated() -> Iterator[int]:
    yield 1


THINGS: dict[str, Callable[[], Any]] = {
    "an open file": lambda: Path(__file__).open("rb"),  # noqa: SIM115  # closed when it is forgotten
    "an open text": lambda: Path(__file__).open(),  # noqa: SIM115
    "a generator": generated,
    "a lock": threading.Lock,
    "a socket": socket.socket,
    "a thread": lambda: threading.Thread(target=print),
}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", THINGS)
def test_what_belongs_to_a_process_cannot_be_saved(name: str, deep: bool, tmp_path: Path) -> None:
    thing = THINGS[name]()

    def step(rows: Any) -> Any:
        return thing and rows

    with (
        closing(thing) if hasattr(thing, "close") else nullcontext(),
        pytest.raises((TypeError, pickle.PicklingError), match=r"(?i)cannot (be )?pickle|it holds an open file"),
    ):
        joblib.save(Chain([step], Says(len)) if deep else Says(thing), tmp_path / joblib.FILE)
