"""What was written is asked in a fresh process before it becomes a version: there shows what only the notebook has."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from contract.errors import ExportRefused
from contract.formats import FORMATS
from contract.store import Store
from pipeline import export

ROWS = pd.DataFrame({"x": [0.5, 1.5, 2.5, 4.0], "note": ["a", "b", "c", "d"]})
MODEL = Ridge().fit(ROWS[["x"]], ROWS.x * 2)


@pytest.fixture(autouse=True)
def notebook(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for the notebook, and nothing of its names anywhere else."""
    (tmp_path / "notebook").mkdir()
    monkeypatch.chdir(tmp_path / "notebook")
    monkeypatch.setenv("LECTERN_STORE", str(store.root))
    monkeypatch.syspath_prepend(str(tmp_path / "notebook"))


@pytest.fixture
def module(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Write modules beside the notebook and import them."""
    written: list[str] = []

    def write(name: str, source: str) -> Any:
        path = Path(f"{name.replace('.', '/')}.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        written.append(name)
        __import__(name)
        return sys.modules[name]

    yield write
    for name in list(sys.modules):
        if name.partition(".")[0] in {one.partition(".")[0] for one in written}:
            del sys.modules[name]


def cell(source: str, **names: Any) -> dict[str, Any]:
    """The names of a notebook after a cell."""
    found: dict[str, Any] = {"__name__": "__main__", "pd": pd, "np": np, **names}
    exec(source, found)
    return found


def entries(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.iterdir()) if store.root.exists() else []


# --- what is refused

ELSEWHERE = r"^The saved model does not work outside this notebook: "


@pytest.mark.parametrize(
    ("source", "message"),
    [
        # the process
        (
            "import os\nhere = os.getpid()\ndef answer(rows):\n    assert os.getpid() == here\n    return rows.x",
            r"The model could not answer its golden rows: The model raised AssertionError",
        ),
        # a name that only this process has
        (
            "import sys\nsys.modules['pandas'].factor = 3\ndef answer(rows):\n    return rows.x * pd.factor",
            r"The model could not answer its golden rows: The model raised AttributeError",
        ),
        # a state that was set
        (
            "import decimal\ndef answer(rows):\n    return rows.x * decimal.getcontext().prec",
            r"The model answers its golden rows otherwise .*a number differs .* or at something in this notebook\?$",
        ),
        # hashes of texts are other ones in every process
        ("def answer(rows):\n    return rows.note.map(hash) % 1000 * 1.0", r"The model answers its golden rows otherw"),
    ],
    ids=["process", "module", "state", "hash"],
)
def test_what_works_only_in_this_process_is_refused(source: str, message: str, store: Store) -> None:
    import decimal

    monkey = pytest.MonkeyPatch()
    try:
        monkey.setattr(decimal.getcontext(), "prec", 7)
        answer = cell(source)["answer"]
        with pytest.raises(ExportRefused, match=ELSEWHERE + message):
            export(answer, "answer", ROWS)
    finally:
        monkey.undo()
        if hasattr(pd, "factor"):
            del pd.factor
    assert entries(store) == []


def test_what_reads_a_file_of_the_notebook_s_folder_is_refused(store: Store) -> None:
    Path("factor.txt").write_text("3")
    answer = cell("def answer(rows):\n    return rows.x * float(open('factor.txt').read())")["answer"]
    with pytest.raises(ExportRefused, match=ELSEWHERE + "The model could not answer its golden rows: .*FileNotFound"):
        export(answer, "answer", ROWS)


def test_what_reads_the_environment_of_the_notebook_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTOR", "3")
    answer = cell("import os\ndef answer(rows):\n    return rows.x * float(os.environ['FACTOR'])")["answer"]
    with pytest.raises(ExportRefused, match=ELSEWHERE + "The model could not answer its golden rows: .*KeyError"):
        export(answer, "answer", ROWS)


def test_random_answers_are_refused_before_that(store: Store) -> None:
    answer = cell("def answer(rows):\n    return np.random.default_rng().random(len(rows))")["answer"]
    with pytest.raises(ExportRefused, match=r"otherwise each time: it draws random numbers"):
        export(answer, "answer", ROWS)
    seeded = cell("def answer(rows):\n    return np.random.RandomState(0).random(len(rows)) + rows.x.to_numpy()")[
        "answer"
    ]
    with pytest.raises(ExportRefused, match=r"of row \d when it comes alone"):
        export(seeded, "answer", ROWS)
    assert entries(store) == []


class Held:
    """Something that holds on to a thing of this process."""

    __module__ = "__main__"

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


@pytest.mark.parametrize("kind", ["lock", "generator", "file"])
def test_what_cannot_be_saved_is_refused(kind: str, store: Store, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        held = {"lock": threading.Lock(), "generator": (number for number in range(3)), "file": file}[kind]
        with pytest.raises(
            ExportRefused, match=r"^The model cannot be saved \(\w+: .* Something in it belongs to this"
        ):
            export(Held(held), "held", ROWS)
    assert entries(store) == []


def test_what_raises_when_it_is_loaded_is_refused(store: Store) -> None:
    class Raises(Held):
        __module__ = "__main__"

        def __setstate__(self, state: Any) -> None:
            raise RuntimeError("not here")

    with pytest.raises(
        ExportRefused,
        match=ELSEWHERE + r"model\.joblib could not be loaded .* \(RuntimeError: not here\)$",
    ):
        export(Raises(1), "held", ROWS)
    assert entries(store) == []


def test_what_takes_too_long_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_TRAIN_LOAD_TIMEOUT_S", "0.01")
    with pytest.raises(ExportRefused, match=ELSEWHERE + r"The model was not loaded within 0\.01 s\.$"):
        export(MODEL, "ridge", ROWS[["x"]])
    assert entries(store) == []


def test_what_ends_its_process_is_refused(store: Store) -> None:
    source = (
        "import os\nhere = os.getpid()\ndef answer(rows):\n    os.getpid() == here or os._exit(1)\n    return rows.x"
    )
    with pytest.raises(ExportRefused, match=ELSEWHERE + r".*process of the model died"):
        export(cell(source)["answer"], "answer", ROWS)
    assert entries(store) == []


# --- what travels


def test_functions_and_what_they_use_travel(store: Store) -> None:
    names = cell(
        "factor = 3\n"
        "class Own:\n    def __init__(self, limit): self.limit = limit\n"
        "    def predict(self, rows): return helper(rows) - self.limit\n"
        "def helper(rows):\n    return rows.x.to_numpy() * factor\n"
    )
    sys.modules["__main__"].__dict__.update(helper=names["helper"], factor=3)
    try:
        made = export(names["Own"](0.5), "own", ROWS)
    finally:
        del sys.modules["__main__"].__dict__["helper"], sys.modules["__main__"].__dict__["factor"]
    assert made.version == 1
    assert any(note.startswith("Travels inside the artifact: ") and "Own" in note for note in made.notes)


def test_a_module_beside_the_notebook_travels(store: Store, module: Callable[..., Any]) -> None:
    module("beside_constants", "FACTOR = 3\n")
    beside = module(
        "beside",
        "import beside_constants\n\n\nclass Triple:\n    def predict(self, rows):\n        return triple(rows.x)\n\n\n"
        "def triple(values):\n    return (values * beside_constants.FACTOR).to_numpy()\n",
    )
    made = export(beside.Triple(), "triple", ROWS)
    assert made.version == 1
    assert made.notes == ("Travels inside the artifact: Triple, triple.",)
    artifact = store.artifact("triple")
    for name in ("beside", "beside_constants"):
        Path(f"{name}.py").unlink()
        del sys.modules[name]
    loaded = FORMATS["joblib"].load(artifact.read("model.joblib"), artifact.manifest)
    assert loaded.answer({"x": [2.0], "note": ["a"]}).values == [6.0]


def test_a_package_beside_the_notebook_travels(store: Store, module: Callable[..., Any]) -> None:
    module("own_package.__init__", "")
    steps = module("own_package.steps", "def double(rows):\n    return rows[['x']] * 2\n")
    made = export([steps.double, MODEL], "chain", ROWS)
    assert made.notes == ("Travels inside the artifact: double.",)


def test_lectern_s_own_modules_do_not_travel(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])  # a notebook at the root of the checkout
    answer = cell("def answer(rows):\n    return rows.x * 2")["answer"]
    made = export([answer, lambda values: values + 1], "chain", ROWS)
    assert made.notes == (
        "Travels inside the artifact: answer, test_lectern_s_own_modules_do_not_travel.<locals>.<lambda>.",
    )


def test_the_proof_asks_all_rows_and_not_only_the_golden_ones(store: Store) -> None:
    source = (
        "import os\nhere = os.getpid()\n"
        "def answer(rows):\n    return np.where((rows.x == 50) & (os.getpid() != here), -1.0, rows.x)"
    )
    many = pd.DataFrame({"x": np.arange(100.0)})  # every fifth one is golden
    many.loc[51, "x"], many.loc[50, "x"] = 50.0, 51.0
    with pytest.raises(ExportRefused, match=r"Asked together, row 51 is answered with -1\.0 instead of 50\.0\. Do"):
        export(cell(source)["answer"], "answer", many)
    assert entries(store) == []


def test_an_interrupted_export_leaves_nothing(store: Store) -> None:
    class Interrupts(Held):
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(Interrupts(1), "held", ROWS)
    assert entries(store) == []


def test_a_model_answers_under_the_settings_it_was_fitted_under(store: Store) -> None:
    with sklearn.config_context(transform_output="pandas"):
        scaler = StandardScaler().fit(ROWS[["x"]])
        answer = cell("def twice(scaled):\n    return scaled['x'] * 2")["twice"]
        made = export([scaler, answer], "twice", ROWS[["x"]])
    model = FORMATS["joblib"].load(store.artifact("twice").read("model.joblib"), made.manifest)
    found = model.answer({"x": [0.5, 4.0]})
    assert found.values == pytest.approx((scaler.transform(ROWS[["x"]].iloc[[0, 3]])[:, 0] * 2).tolist())


def test_levels_that_only_another_frame_of_the_notebook_has_are_asked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cars = pd.DataFrame({"brand": ["Acer", "Apple", "Dell"] * 5, "ram": range(15)})
    monkeypatch.setitem(globals(), "cars", cars)
    code = cell("def code(d):\n    return d.assign(brand=d.brand.astype('category').cat.codes)")["code"]
    model = Ridge().fit(code(cars), range(15))
    some = cars[cars.brand != "Acer"]
    with pytest.raises(
        ExportRefused, match=r"^`cars` has 'Acer' in 'brand', .* e\.g\. all_rows=cars\[inputs\.columns\]\.$"
    ):
        export([code, model], "cars", some)
    made = export([code, model], "cars", some, all_rows=cars)
    assert made.manifest.signature.inputs[0].levels == ("Acer", "Apple", "Dell")
    found = FORMATS["joblib"].load(store.artifact("cars").read("model.joblib"), made.manifest)
    expected = model.predict(code(cars)).tolist()
    assert [found.answer({"brand": [b], "ram": [r]}).values[0] for b, r in cars.itertuples(index=False)] == (
        pytest.approx(expected)
    )


def test_what_a_step_says_in_the_fresh_process_is_told(store: Store) -> None:
    answer = cell("kept = []\ndef answer(rows):\n    return rows.x * float(open('missing.txt').read())")["answer"]
    Path("missing.txt").write_text("3")
    with pytest.raises(ExportRefused, match=r"FileNotFoundError: .*missing\.txt"):
        export(answer, "answer", ROWS)
