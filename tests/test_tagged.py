"""Cells as a function: the notebook's own preprocessing as a step, as it was run and without what it assigns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from contract.errors import ExportRefused
from contract.store import Store
from pipeline import cells
from pipeline.running.training import train
from pipeline.settings import TrainSettings
from tests.conftest import WriteNotebook

In: list[str] = []  # as IPython keeps what was run
offset = 10.0  # a name of the "notebook"

Write = Callable[..., Path]


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a notebook of code cells, each a source and its tags, and have them in the history."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)

    def write(*sources: tuple[str, list[str]], run: bool = True) -> Path:
        found = [{"cell_type": "code", "metadata": {"tags": tags}, "source": source} for source, tags in sources]
        path = tmp_path / "mine.ipynb"
        path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "metadata": {}, "source": "#"}, *found]}))
        monkeypatch.setitem(globals(), "In", ["", *(source for source, _ in sources if run)])
        return path

    return write


def test_tagged_cells_are_one_function_in_their_order(notebook: Write) -> None:
    path = notebook(
        ("df = df.dropna()", ["prepare"]),
        ("raise AssertionError", []),
        ("X = df.assign(b=df['a'] + offset)\nleft = 1", ["other", "prepare"]),
    )
    prepare = cells("prepare", "df", "X", notebook=path)
    rows = pd.DataFrame({"a": [1.0, None, 3.0]})
    assert prepare(rows)["b"].tolist() == [11.0, 13.0]
    assert "left" not in globals()
    assert len(rows) == 3
    assert prepare.__name__ == "prepare"


def test_it_uses_the_notebook_as_it_was_when_it_was_made(notebook: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = cells("prepare", "df", "X", notebook=notebook(("X = df + offset", ["prepare"])))
    monkeypatch.setitem(globals(), "offset", -1.0)
    assert prepare(1.0) == 11.0


@pytest.mark.parametrize("variable", ["LECTERN_TRAIN_NOTEBOOK", "JPY_SESSION_NAME"])
def test_the_runner_or_jupyterlab_tells_which_notebook_it_is(
    notebook: Write, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    path = notebook(("X = df * 2", ["prepare"]))
    monkeypatch.setenv(variable, str(path))
    assert cells("prepare", "df", "X")(3) == 6
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv(variable, f"folder-of-the-server/{path.name}")  # JupyterLab's root need not be the kernel's
    assert cells("prepare", "df", "X")(3) == 6


def test_what_cannot_be_a_function_is_refused(notebook: Write, tmp_path: Path) -> None:
    path = notebook(("X = 1", ["prepare"]), ("%time X = 1", ["magic"]))
    for arguments, message in (
        (("prepare", "df", "X"), "Nothing tells which notebook this is; name its file"),
        (("prepare", "my df", "X", path), "'my df' is no variable's name"),
        (("prepare", "df", "class", path), "'class' is no variable's name"),
        (("prepared", "df", "X", path), "No cell of mine.ipynb has the tag 'prepared'"),
        (("magic", "df", "X", path), "are not plain Python"),
        (("prepare", "df", "X", tmp_path / "other.ipynb"), "Cannot read"),
    ):
        with pytest.raises(ExportRefused, match=message):
            cells(*arguments[:3], notebook=arguments[3] if len(arguments) > 3 else None)
    (tmp_path / "mine.ipynb").write_text("[]")
    with pytest.raises(ExportRefused, match=r"is no Jupyter notebook"):
        cells("prepare", "df", "X", notebook=path)


def test_a_cell_that_was_changed_and_not_run_is_refused(notebook: Write) -> None:
    path = notebook(("X = df\nX += 1", ["prepare"]), run=False)
    with pytest.raises(ExportRefused, match=r"begins `X = df` was not run as it stands in the file: save the notebook"):
        cells("prepare", "df", "X", notebook=path)


TRAINING = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

raw = pd.DataFrame({"size": ["1 m", "2 m", "4 m"], "colour": ["red", "blue", "red"]})
price = np.array([1.0, 2.5, 4.0])
df = raw.copy()
"""
PREPARE = """
df["length"] = df["size"].str.removesuffix(" m").astype(float) * factor
X = pd.get_dummies(df[["length", "colour"]]).astype(float)
"""
EXPORT = """
from pipeline import cells, export

model = LinearRegression().fit(X, price)
export([cells("prepare", "df", "X"), model], "tagged", raw, price)
"""


def test_a_run_exports_its_own_cells(store: Store, write_notebook: WriteNotebook) -> None:
    path = write_notebook("factor: float = 2.0", TRAINING, PREPARE, EXPORT)
    document = json.loads(path.read_text())
    document["cells"][2]["metadata"] = {"tags": ["prepare"]}
    path.write_text(json.dumps(document))
    trained = train(path, {}, store, TrainSettings())
    assert trained.manifest.signature.names == ("size", "colour")
    assert trained.manifest.metrics["r2"] == pytest.approx(1.0)
