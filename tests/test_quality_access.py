"""serving.quality.access: the prediction log where there is one, and else the reason why it cannot be asked."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from contract.store import Store
from serving.metrics import LogCounts
from serving.prediction_log import place
from serving.prediction_log.writer import PredictionLog
from serving.problems import Problem
from serving.quality.access import Access
from serving.settings import ServeSettings


def begun(store: Store, **settings: Any) -> Access:
    return Access(PredictionLog(store, ServeSettings(**settings), LogCounts()))


def refusal(access: Access) -> Problem:
    with pytest.raises(Problem) as refused, access.writing():
        pass
    return refused.value


def test_where_there_is_no_log_that_is_the_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    off = refusal(begun(store, prediction_log="none"))
    assert (off.status, off.code, off.headers) == (503, "log_off", {})
    assert off.detail == f"There is no prediction log: {place.NOTHING}."
    with monkeypatch.context() as patch:
        patch.setattr(place, "find_spec", lambda name: None)
        assert "'lectern[watch]' brings it" in refusal(begun(store)).detail


def test_a_log_that_cannot_be_used_is_asked_for_later(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "newer.sqlite"
    access = begun(store, prediction_log=str(file))
    with access.writing():
        pass
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE lectern_log_version SET version_num = '99'")
    other = refusal(begun(store, prediction_log=str(file)))
    assert (other.status, other.code, other.headers) == (503, "log_unavailable", {"retry-after": "5"})
    assert "was made by a newer Lectern" in other.detail


def test_a_log_that_was_deleted_is_begun_anew(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite"
    access = begun(store, prediction_log=str(file))
    for _ in range(2):
        with access.writing():
            assert file.exists()
        for path in tmp_path.glob("log.sqlite*"):
            path.unlink()
