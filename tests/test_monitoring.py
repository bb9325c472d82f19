"""The monitoring notebooks: what they say of a model that was asked, of one that was not, and as reports."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import pytest
from IPython.display import display
from sklearn.datasets import load_iris

import pipeline.reporting
from contract.store import Store
from pipeline.running.planning import Planner
from serving.app import create_app
from serving.settings import ServeSettings
from tests.live import publish_graph
from tests.test_app import served

MONITORING = Path(__file__).parents[1] / "notebooks" / "monitoring"
NOTEBOOKS = sorted(MONITORING.glob("*.ipynb"))
ROWS = 300


@pytest.fixture(scope="module")
def watched(example_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in whose log are rows of `iris` and `times` with feedback, and none of `cardio`."""
    folder = tmp_path_factory.mktemp("watched") / "artifacts"
    shutil.copytree(example_store.root, folder, ignore=shutil.ignore_patterns(".*"))  # others have asked its models
    store = Store(folder)
    publish_graph(store, "times")
    flowers = load_iris(as_frame=True)
    known = flowers.data.assign(truth=flowers.target_names[flowers.target]).sample(ROWS, replace=True, random_state=0)
    known.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width", "truth"]
    with served(create_app(ServeSettings(store=store.root))) as client:
        for model, rows, truths in (
            ("iris", known.drop(columns="truth").to_dict("records"), known["truth"].tolist()),
            ("times", [{"x": value} for value in range(20)], [2.0 * value + 1 for value in range(20)]),
        ):
            answers = client.post(f"/models/{model}/predict", json=rows).json()["predictions"]
            told = [{"id": answer["id"], "truth": truth} for answer, truth in zip(answers, truths, strict=True)]
            assert client.post("/feedback", json=told).json()["new"] == len(rows)
    return store.root


@pytest.fixture(autouse=True)
def surroundings(watched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kernel of `lectern report` finds."""
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LECTERN_STORE", str(watched))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def ran(name: str, model: str) -> tuple[dict[str, Any], str]:
    """What the cells of a notebook leave and print."""
    notebook = nbformat.read(MONITORING / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    found: dict[str, Any] = {"display": display}
    printed = io.StringIO()
    with mpl.rc_context({"backend": "agg"}), contextlib.redirect_stdout(printed):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, name, "exec"), found)
                if "parameters" in cell.metadata.get("tags", []):
                    found["model"] = model
    return found, printed.getvalue()


def test_there_is_one_for_each_concern() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["drift", "quality", "traffic"]
    assert pipeline.reporting.notebooks(Path(__file__).parent) == NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_takes_the_parameters_of_a_report(path: Path) -> None:
    assert set(Planner(path).plan({"model": "iris", "since": "1d"}).values) == {"model", "since"}


def test_traffic_says_how_many_rows_and_what_was_said(watched: Path) -> None:
    found, _ = ran("traffic", "iris")
    assert len(found["rows"]) == ROWS
    assert set(found["table"].index) == {"setosa", "versicolor", "virginica"}


def test_quality_says_how_often_it_was_right(watched: Path) -> None:
    found, printed = ran("quality", "iris")
    assert f"Of {ROWS} rows the truth is known of {ROWS}." in printed
    assert found["table"].loc[1, "accuracy"] > 0.9
    assert 0.9 < found["table"].loc[1, "accuracy in training"] <= 1
    numbers, _ = ran("quality", "times")
    assert numbers["table"].loc[1, "mae"] == 1


def test_drift_adds_the_counts_up(watched: Path) -> None:
    found, printed = ran("drift", "iris")
    assert f"{ROWS} rows were counted" in printed
    assert {name for _, name, *_ in found["table"]} >= {"sepal_length", "prediction"}
    assert all(rows == ROWS for _, _, rows, *_ in found["table"])
    assert max(index for _, _, _, index, *_ in found["table"]) < 0.1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("traffic", "cardio answered nothing in the last 7d"),
        ("quality", "Of 0 rows the truth is known of 0."),
        ("drift", "There are no counts of cardio in the last 7d"),
    ],
)
def test_a_model_that_nobody_asked_is_no_mistake(watched: Path, name: str, told: str) -> None:
    _, printed = ran(name, "cardio")
    assert told in printed
