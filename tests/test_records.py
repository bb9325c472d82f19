"""pipeline.running.records: what is kept of runs, and the frame of them all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pipeline
from contract.errors import SettingsRefused
from contract.manifest import Run
from contract.store import Store
from pipeline.running import records
from pipeline.running.records import RunRecord
from tests.samples import sealed

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def record(name: str, **changes: Any) -> RunRecord:
    given: dict[str, Any] = {
        "id": name,
        "notebook": "iris.ipynb",
        "status": "completed",
        "started": NOON,
        "duration_s": 1.5,
    }
    return RunRecord(**given | changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (records.NOTEBOOK, records.REPORT):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_record_comes_back_as_it_was(store: Store, folder: Path) -> None:
    kept = record("one", status="timeout", error="too long", parameters={"a": [1, None]}, metrics={"r2": 0.5})
    where = records.keep(store, kept, folder)
    assert sorted(path.name for path in where.iterdir()) == ["notebook.ipynb", "report.html", "run.json"]
    assert records.read(store, "one") == kept
    assert list(records.recorded(store)) == [kept]


def test_a_run_that_is_recorded_stays_as_it_is(store: Store, folder: Path) -> None:
    stage = store.stage()
    stage.path("model").write_text("x")
    records.keep(store, record("one"), folder, stage.folder)
    records.keep(store, record("one", status="failed"), folder)
    assert [found.status for found in records.recorded(store)] == ["completed"]
    assert (records.folder_of(store, "one") / records.ARTIFACT / "model").exists()
    assert [path.name for path in (store.root / ".runs").iterdir()] == ["one"], "nothing half written is left"


def test_a_record_without_its_files_is_not_kept(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        records.keep(store, record("one"), tmp_path)
    assert list((store.root / ".runs").iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "one"}', "x" * (records.MAX_RECORD_BYTES + 1)])
def test_a_damaged_record_is_passed_over(store: Store, folder: Path, content: str) -> None:
    records.keep(store, record("one"), folder)
    (records.folder_of(store, "one") / records.RECORD).write_text(content)
    (store.root / ".runs" / "loose file").touch()
    (store.root / ".runs" / "sweep-1").mkdir()
    assert list(records.recorded(store)) == []
    assert records.read(store, "one") is records.read(store, "gone") is None


def test_a_record_of_another_name_is_none(store: Store, folder: Path) -> None:
    records.keep(store, record("one"), folder).rename(store.root / ".runs" / "two")
    assert records.read(store, "two") is None


@pytest.mark.parametrize(
    ("notebook", "stem"), [("iris.ipynb", "iris"), ("a {b} ü/c.ipynb", "c"), ("ü b.ipynb", "ü-b"), ("...", "run")]
)
def test_the_name_of_a_run_is_sortable_and_its_own(notebook: str, stem: str) -> None:
    first, second = records.new_id(notebook), records.new_id(notebook)
    assert first != second
    assert first[8] == first[15] == "-"
    assert first[16:].rpartition("-")[0] == stem


def test_runs_are_one_frame_newest_first(store: Store, folder: Path) -> None:
    how = Run(kind="papermill", id="best", notebook="iris.ipynb", duration_s=3.0, started=NOON, sweep="sweep-1")
    parameters: dict[str, Any] = {"trees": 10, "token": "***"}
    store.publish(sealed(store, run=how, parameters=parameters, metrics={"r2": 0.9}))
    store.publish(sealed(store, run=Run(kind="papermill", notebook="old.ipynb"), created=NOON - timedelta(days=9)))
    store.publish(sealed(store, run=Run(kind="interactive")))
    store.publish(sealed(store, model="cardio", run=Run(kind="papermill"), created=NOON - timedelta(days=8)))
    (store.artifact("cardio").folder / "manifest.json").write_text("{")
    records.keep(store, record("best", model="iris", parameters=parameters, metrics={"r2": 0.9}), folder)
    records.keep(store, record("late", model="iris", started=NOON + timedelta(1), parameters={"trees": 20}), folder)
    records.keep(store, record("bad", status="failed", error="E: x", started=NOON - timedelta(1)), folder)

    frame = pipeline.runs(store=store)
    assert frame["run"].tolist() == ["late", "best", "bad", "iris-2"]
    assert frame["status"].tolist() == ["completed", "completed", "failed", "completed"]
    assert frame["version"].tolist() == [pd.NA, 1, pd.NA, 2]
    fixed = ["run", "model", "notebook", "status", "version", "started", "duration_s", "sweep", "error"]
    assert frame.columns.tolist() == [*fixed, "param_trees", "param_token", "metric_r2"]
    best = [frame[name].iloc[1] for name in ("param_trees", "param_token", "metric_r2", "duration_s")]
    assert best == [10, "***", 0.9, 3.0]
    assert frame["started"].tolist()[1] == pd.Timestamp(NOON)
    assert pipeline.runs("iris", store.root)["run"].tolist() == ["late", "best", "iris-2"]
    assert pipeline.runs("rose", str(store.root)).empty


def test_runs_of_no_store_are_an_empty_frame_with_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_STORE", str(tmp_path / "none"))
    frame = pipeline.runs()
    assert frame.empty
    assert str(frame.dtypes["version"]) == "Int64"
    assert str(frame.dtypes["started"]) == "datetime64[us, UTC]"
    monkeypatch.setenv("LECTERN_TRAIN_NOSUCH", "1")
    with pytest.raises(SettingsRefused, match="LECTERN_TRAIN_NOSUCH is no setting"):
        pipeline.runs()
