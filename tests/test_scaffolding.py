"""`lectern new`: the notebooks it drafts are tidy, hold texts of the file as data only, and run."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from contract.errors import NameRefused
from contract.store import Store
from notebooks import tidy
from pipeline.running import parameters
from pipeline.running.training import train
from pipeline.scaffolding import path_from, scaffold
from pipeline.scaffolding.datafile import DataRefused
from pipeline.scaffolding.literals import assigned, literal, named
from pipeline.settings import TrainSettings

ROOT = Path(__file__).parents[1]
BREAKOUT = "\"]; __import__('os').system('touch pwned'); [\""
HOSTILE = [
    *(
        "self",
        "model_config",
        "class",
        "a.b c",
        "größe 中文",
        "it's",
        'say "yes"',
        "back\\slash",
        "{rows}",
        "# no",
        "%s",
    ),
    *("two\nlines", "\ttab", "\u202egnp.exe", "\u200b", "<script>alert(1)</script>", "$(touch pwned)", "`x`"),
    *(BREAKOUT, BREAKOUT.replace('"', "'"), '"""', "'''\n", "x" * 300, "a long question " * 20, "'\" " * 60, "中" * 90),
]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def customers(rows: int = 200) -> pd.DataFrame:
    """A table with a column of every kind."""
    draw = np.random.default_rng(0)
    gaps = draw.random(rows) < 0.1
    days = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 700, rows), "D"))
    frame = pd.DataFrame(
        {
            "customerID": [f"c-{i}" for i in range(rows)],
            "plan": draw.choice(["small", "large"], rows),
            "region": pd.Series(draw.choice(["north", "south"], rows)).mask(gaps),
            "town": draw.choice([f"town {i}" for i in range(40)], rows),
            "joined": days.dt.strftime("%d.%m.%Y").mask(gaps),
            "last seen": (days + pd.Timedelta("90min")).dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "charges": pd.Series(draw.normal(100, 30, rows).round(2).astype(str)).mask(gaps, " "),
            "age": pd.Series(draw.integers(18, 80, rows)).mask(gaps),
            "active": draw.random(rows) < 0.5,
            "vip": pd.Series(draw.random(rows) < 0.5, dtype=object).mask(gaps),
            "note": [" ".join(draw.choice(["good", "bad", "slow", "box"], 6)) + f" {i}00" for i in range(rows)],
            "currency": "EUR",
        }
    )
    frame["left"] = pd.Series(np.where(frame["active"] & (frame["plan"] == "small"), "yes", "no")).mask(
        draw.random(rows) < 0.05
    )
    frame.loc[:1, "left"] = "who knows"
    return frame


def drafted(frame: pd.DataFrame, target: str, name: str = "model", **how: Any) -> Path:
    frame.to_csv("rows.csv", index=False)
    notebook = Path("notebooks", "training", f"{name}.ipynb")
    scaffold(name, Path("rows.csv"), target, notebook, **how)
    return notebook


def sources(notebook: Path) -> list[str]:
    document = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    return [cell.source for cell in document.cells if cell.cell_type == "code"]


def assert_clean(*notebooks: Path) -> None:
    """Assert that the formatter and the linter have nothing to say, with the settings of the project."""
    Path("pipeline").mkdir(exist_ok=True)  # ruff sorts imports by what lies around
    shutil.copy(ROOT / "pyproject.toml", ".")
    for command in (["format", "--diff"], ["check", "--output-format=concise"]):
        asked = [sys.executable, "-m", "ruff", *command, "--no-cache", *map(str, notebooks)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# --- its form


@pytest.mark.parametrize(
    ("frame", "target"),
    [
        (customers(), "left"),
        (customers(), "age"),
        (customers()[["age", "active"]].dropna(), "active"),
        (pd.DataFrame(np.random.default_rng(0).normal(size=(30, 500))).add_prefix("c").assign(d=["u", "v"] * 15), "c7"),
        (pd.DataFrame(np.random.default_rng(0).normal(size=(30, len(HOSTILE))), columns=HOSTILE), HOSTILE[-1]),
        *((pd.DataFrame({"x": range(5, 65), name: ["u", "v"] * 30}), name) for name in HOSTILE),
    ],
)
def test_a_draft_is_tidy_clean_and_a_training_notebook(frame: pd.DataFrame, target: str) -> None:
    notebook = drafted(frame, target)
    text = notebook.read_bytes().decode()
    assert tidy.tidy(text, outputs=False) == text
    assert_clean(notebook)
    declared = parameters.declared(nbformat.read(notebook, as_version=4))  # type: ignore[no-untyped-call]
    assert list(declared)[:4] == ["data", "target", "test_share", "n_estimators"]
    assert (declared["target"].default, declared["data"].default) == (target, "../../rows.csv")
    assert sources(notebook)[-1].startswith('export(\n    model,\n    "model",')
    first = notebook.read_bytes()
    scaffold("model", Path("rows.csv"), target, notebook, force=True)
    assert notebook.read_bytes() == first
    assert sorted(path.name for path in notebook.parent.iterdir()) == ["model.ipynb"]


def test_what_the_file_says_is_data_and_never_code_or_prose() -> None:
    frame = pd.DataFrame({name: np.random.default_rng(i).normal(size=30) for i, name in enumerate(HOSTILE)})
    plain = frame.set_axis([f"c{i}" for i in range(len(HOSTILE))], axis=1)
    shapes, prose = [], []
    for table in (frame, plain):
        notebook = drafted(table, str(table.columns[-1]), force=True)
        cells = nbformat.read(notebook, as_version=4).cells  # type: ignore[no-untyped-call]
        prose.append([cell.source for cell in cells if cell.cell_type == "markdown"])
        trees = [ast.parse(cell.source) for cell in cells if cell.cell_type == "code"]
        texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert set(table.columns) <= texts
        shapes.append([re.sub(r"Constant\(value='.*?'\)", "", ast.dump(_blank(tree))) for tree in trees])
    assert shapes[0] == shapes[1]
    assert prose[0] == prose[1]


def _blank(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return tree


@pytest.mark.parametrize("text", HOSTILE)
def test_a_literal_is_the_text_again(text: str) -> None:
    assert ast.literal_eval(literal(text, before=16, indent=4)) == text
    for source in (named("x", [text, text]), assigned("x: str", text, "a text")):
        [statement] = ast.parse(source).body
        assert isinstance(statement, ast.Assign | ast.AnnAssign)
        assert statement.value is not None
        assert ast.literal_eval(statement.value) in ([text, text], text)
        assert max(map(len, source.splitlines())) <= 120


def test_the_data_is_named_by_a_path_that_moves_with_the_project(tmp_path: Path) -> None:
    home = Path("notebooks", "training")
    assert path_from(home, Path("data", "a.csv")) == path_from(home, tmp_path / "data" / "a.csv") == "../../data/a.csv"
    assert path_from(tmp_path.parent / "x", tmp_path.parent / "x" / "a.csv") == "a.csv"
    assert path_from(home, tmp_path.parent / "a.csv") == str(tmp_path.parent / "a.csv")


# --- it runs


def trained(notebook: Path, store: Store, **given: Any) -> tuple[Any, str]:
    manifest = train(notebook, given, store, TrainSettings()).manifest
    executed = json.loads((store.root / manifest.model / "1" / "notebook.ipynb").read_text())
    shown = "".join("".join(o.get("text", "")) for c in executed["cells"] for o in c.get("outputs", []))
    return manifest, shown


def test_a_classification_of_mixed_columns_runs(store: Store) -> None:
    manifest, shown = trained(drafted(customers(), "left", "churn"), store)
    fields = {field.name: field.type + " or null" * field.nullable for field in manifest.signature.inputs}
    assert fields == {
        "plan": "string",
        "region": "string or null",
        "town": "string",
        "joined": "date or null",
        "last seen": "datetime",
        "charges": "float or null",
        "age": "float or null",
        "active": "boolean",
        "vip": "boolean or null",
        "note": "string",
    }
    assert manifest.signature.output.classes == ("no", "yes")
    assert manifest.metrics["accuracy"] > 0.8, "the constant answer is right of three in four"
    unknown = int(customers()["left"].isna().sum())
    assert f"200 rows of 13 columns; left out without a target: {unknown} rows" in shown
    assert "left out with a class too rare to be learned: 2 rows of 1 classes" in shown
    assert "Warning" not in shown


def test_a_regression_on_columns_with_odd_names_runs(store: Store, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({name: draw.normal(size=80) for name in HOSTILE if name.isprintable()})
    frame["price ($)"] = frame["self"] * 3
    frame.to_csv("odd.csv", index=False, sep=";", decimal=",")
    scaffold("house", Path("odd.csv"), "price ($)", Path("house.ipynb"))
    manifest, _ = trained(Path("house.ipynb"), store, n_estimators=20, keep_rows=False)
    assert list(manifest.signature.names) == [name for name in HOSTILE if name.isprintable()]
    assert manifest.signature.output.task == "regression"
    assert manifest.metrics["r2"] > 0.5
    assert not (tmp_path / "pwned").exists()


def test_numbers_alone_run_as_onnx(store: Store) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=80), "b": draw.normal(size=80)})
    frame = frame.assign(y=(frame["a"] > 0).astype(int)).mask(draw.random((80, 3)) < 0.05)
    frame.to_parquet("rows.parquet")
    scaffold("two", Path("rows.parquet"), "y", Path("two.ipynb"))
    manifest, _ = trained(Path("two.ipynb"), store, n_estimators=20)
    assert manifest.runtime.format == "onnx"
    assert manifest.signature.output.labels == (0, 1)


# --- what is refused


def test_what_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    customers().to_csv("rows.csv", index=False)
    out = Path("notebooks", "x.ipynb")
    with pytest.raises(NameRefused, match="cannot name a model"):
        scaffold('x", print("pwned"), "', Path("rows.csv"), "left", out)
    with pytest.raises(DataRefused, match=r"has no column 'Left'; did you mean 'left'\?"):
        scaffold("x", Path("rows.csv"), "Left", out)
    with pytest.raises(DataRefused, match=r"^x.py is no name for a notebook; it ends in .ipynb\.$"):
        scaffold("x", Path("rows.csv"), "left", Path("x.py"))
    with pytest.raises(DataRefused, match=r"^Cannot write rows.csv/x.ipynb: "):
        scaffold("x", Path("rows.csv"), "left", Path("rows.csv", "x.ipynb"))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
