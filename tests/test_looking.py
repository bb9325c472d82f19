"""pipeline.looking: the versions of a model, and the leaderboard of a sweep, as frames."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pandas as pd
import pytest

import pipeline
from contract.errors import ModelNotFound, SettingsRefused, StoreError
from contract.promotions import CHALLENGER
from contract.store import Store
from tests.promoting import MODEL, deployer, published


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)


def test_the_versions_of_a_model_are_one_frame_newest_first(store: Store) -> None:
    published(store, 3, metrics={"r2": 0.5}, parameters={"trees": 10})
    published(store, 2, metrics={"r2": 0.75, "mae": 1.0})
    moves = deployer(store)
    moves.promote(MODEL, 2)
    moves.keep(MODEL, 4, reason="it is worse", gate={})
    moves.roll_back(MODEL)
    moves.promote(MODEL, 4, CHALLENGER)
    moves.promote(MODEL, 1, "old")
    (store.artifact(MODEL, 5).folder / "manifest.json").write_text("{")

    frame = pipeline.versions(MODEL, store)
    fixed = ["version", "created", "runtime", "aliases", "verdict", "error"]
    assert list(frame.columns) == [*fixed, "param_trees", "metric_r2", "metric_mae"]
    assert frame["version"].tolist() == [5, 4, 3, 2, 1]
    assert frame["aliases"].tolist() == ["champion", "challenger", "", "", "old"]
    assert frame["verdict"].tolist() == ["promoted", "kept", "", "promoted", ""]
    assert frame["metric_r2"].tolist()[1:] == [0.75, 0.5, 0.5, 0.5]
    assert frame["runtime"].tolist() == ["", "joblib", "joblib", "joblib", "joblib"]
    assert frame["created"].tolist()[1] == pd.Timestamp(datetime(2026, 11, 21, 12, tzinfo=UTC))
    assert str(frame.dtypes["created"]) == "datetime64[us, UTC]"
    assert frame["created"].isna().tolist() == [True, False, False, False, False]
    assert frame["error"].tolist()[0].startswith("The manifest does not end with its SHA-256")
    assert set(frame["error"][1:]) == {""}
    assert pipeline.versions(MODEL, str(store.root)).equals(frame)


def test_before_anything_is_promoted_the_newest_version_is_champion(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECTERN_STORE", str(published(store, 2).root))
    frame = pipeline.versions(MODEL)
    assert (frame["aliases"].tolist(), frame["verdict"].tolist()) == (["champion", ""], ["", ""])


def test_what_is_not_there_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFound, match=r"^There is no model 'rose'; the store is empty\.$"):
        pipeline.versions("rose", store)
    with pytest.raises(StoreError, match=r"^The store has no leaderboard; no sweep has ended there\.$"):
        pipeline.leaderboard(store=store)
    for name in ("sweep-b", "sweep-a"):
        folder = store.root / ".runs" / name
        folder.mkdir(parents=True)
        (folder / "leaderboard.json").write_text('{"runs": [{"rank": null, "version": null, "status": "failed"}]}')
    with pytest.raises(StoreError, match=r"^The store has no leaderboard of 'sweep-c'; there is sweep-a, sweep-b\.$"):
        pipeline.leaderboard("sweep-c", store)
    assert pipeline.leaderboard("sweep-b", store)["status"].tolist() == ["failed"]
    monkeypatch.setenv("LECTERN_TRAIN_NOSUCH", "1")
    for look in (pipeline.versions, pipeline.leaderboard):
        with pytest.raises(SettingsRefused, match="LECTERN_TRAIN_NOSUCH is no setting"):
            look("iris")
