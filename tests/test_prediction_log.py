"""serving.prediction_log.writer and .drain: every row is stored, dropped or withheld, whatever befalls the database."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import SettingsRefused
from serving.loading import Served
from serving.metrics import LogCounts
from serving.prediction_log import drain, place, writer
from serving.prediction_log.database import engine, writing
from serving.settings import ServeSettings
from tests.live import until
from tests.logged import abandoned, address, ids_in, in_turn, logging_to, observed, requests, rows_of, version

__all__ = ["address"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return version(tmp_path_factory.mktemp("version"))


NOW = int(time.time() * 1e6)
COUNTS = {"model": "m", "version": 1, "began": NOW, "ended": NOW, "worker": "w", "rows": 3, "counts": "{}"}


def total(counts: LogCounts) -> int:
    return counts.stored + counts.dropped + counts.withheld


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody else who writes, and does not come to an end."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


# --- all is well


def test_rows_are_written_within_a_moment(served: Served, address: str, tmp_path: Path) -> None:
    with logging_to(address, tmp_path) as (log, counts):
        in_turn(log, requests(served, 1_500))
        until(lambda: counts.stored == 1_500)
        assert log.trouble == ""
    rows = rows_of(address, tmp_path, "model, prediction, alias")
    assert rows == [("times", "0.0", "champion")] * 1_500


def test_what_is_left_at_the_end_is_written(served: Served, address: str, tmp_path: Path) -> None:
    with logging_to(address, tmp_path) as (log, counts):
        in_turn(log, requests(served, 2_500))
        log.add_counts([COUNTS])
    assert (counts.stored, counts.dropped) == (2_500, 0)
    assert len(rows_of(address, tmp_path, "id")) == 2_500
    assert rows_of(address, tmp_path, "model, rows", "field_counts") == [("m", 3)]


def test_who_wants_nothing_kept_is_only_counted(served: Served, tmp_path: Path) -> None:
    some = [
        observed(served, {"x": 1.0}, {"x": 2.0}, x_no_log=value) for value in ("1", "true", "yes", "0", "false", "")
    ]
    with logging_to(tmp_path / "log.sqlite", tmp_path) as (log, counts):
        log.see(some)
    assert (counts.stored, counts.withheld, counts.dropped) == (6, 6, 0)
    assert {row[0][:-2] for row in rows_of(tmp_path / "log.sqlite", tmp_path, "id")} == {
        one.request_id for one in some[3:]
    }


def test_rows_of_a_stream_that_was_abandoned_are_marked(served: Served, address: str, tmp_path: Path) -> None:
    left, read = (observed(served, {"x": 1.0}, {"x": 2.0}, request_id=name) for name in ("aa", "aab"))
    alone = observed(served, {"x": 1.0})
    with logging_to(address, tmp_path) as (log, counts):
        log.see([left, read, abandoned(left), abandoned(alone)._replace(rows=0)])
    marked = [("aa-0", True), ("aa-1", True), ("aab-0", False), ("aab-1", False)]
    assert [(name, bool(gone)) for name, gone in rows_of(address, tmp_path, "id, gone")] == marked
    assert total(counts) == 4


def test_a_queue_that_is_full_takes_no_more_and_says_how_many(served: Served, tmp_path: Path) -> None:
    log = writer.PredictionLog(*_never_started(tmp_path, log_queue_rows=100))
    counts = log._counts
    log.see([observed(served, *[{"x": 1.0}] * 90), observed(served, *[{"x": 1.0}] * 30), *requests(served, 5)])
    assert (counts.dropped, counts.stored) == (25, 0)
    log.stop()
    assert counts.dropped == 125


def _never_started(folder: Path, **settings: Any) -> Any:
    found = ServeSettings(store=folder, prediction_log=str(folder / "log.sqlite"), **settings)
    return found.open_store(), found, LogCounts()


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=12), st.integers(1, 60), st.integers(1, 30))
def test_every_row_becomes_exactly_one_thing(sizes: list[tuple[int, bool]], room: int, batch: int) -> None:
    served, folder = _shared()
    some = [observed(served, *[{"x": 1.0}] * size, x_no_log=str(int(hidden))) for size, hidden in sizes]
    file = folder / f"{os.urandom(8).hex()}.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drain, "BATCH_ROWS", batch)
        with logging_to(file, folder, log_queue_rows=room) as (log, counts):
            in_turn(log, some, at_once=3)
    assert total(counts) == sum(size for size, _ in sizes)
    assert counts.withheld == sum(size for size, hidden in sizes if hidden)
    stored = ids_in(file) if file.exists() else []
    assert len(stored) == len(set(stored)) == counts.stored


@cache
def _shared() -> tuple[Served, Path]:
    folder = Path(tempfile.mkdtemp(prefix="lectern-log-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return version(folder), folder


# --- the database is in trouble


def test_a_lock_makes_nobody_wait_and_loses_nothing_that_was_taken(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "log.sqlite"
    with caplog.at_level(logging.INFO, "lectern.log"), logging_to(file, tmp_path, log_queue_rows=500) as (log, counts):
        in_turn(log, requests(served, 100))
        until(lambda: counts.stored == 100)
        with locked(file):
            in_turn(log, requests(served, 800))
            until(lambda: log.trouble)
            assert log.trouble == f"The prediction log {file} cannot be written: database is locked. Predictions go on."
            assert counts.stored == 100
        until(lambda: counts.stored == 600)
        until(lambda: not log.trouble)
    assert (counts.stored, counts.dropped) == (600, 300)
    assert len(ids_in(file)) == 600
    begun, ended = [record.getMessage().removeprefix(f"The prediction log {file} ") for record in caplog.records]
    assert begun == "cannot be written: database is locked. Predictions go on; rows beyond its queue are dropped."
    assert re.fullmatch(r"is written again; \d+ rows were dropped meanwhile\.", ended)


def test_a_full_disk_is_over_as_soon_as_there_is_room(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log.sqlite"
    monkeypatch.setattr(engine, "_PRAGMAS", (*engine._PRAGMAS, "max_page_count=40"))
    with logging_to(file, tmp_path) as (log, counts):
        in_turn(log, requests(served, 3_000))
        until(lambda: log.trouble)
        assert "database or disk is full" in log.trouble
        in_turn(log, requests(served, 8_000))
        monkeypatch.setattr(engine, "_PRAGMAS", engine._PRAGMAS[:-1])
        until(lambda: not log.trouble, within_s=30)
        until(lambda: total(counts) == 11_000)
    assert counts.dropped > 0
    assert len(set(ids_in(file))) == counts.stored == 11_000 - counts.dropped


@pytest.mark.parametrize("what", ["log.sqlite", "log.sqlite*"])
def test_a_file_that_is_deleted_is_noticed_and_a_new_one_begun(
    served: Served, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    file, some = tmp_path / "log.sqlite", requests(served, 10)
    with logging_to(file, tmp_path) as (log, counts):
        in_turn(log, requests(served, 10))
        until(lambda: counts.stored == 10)
        for path in tmp_path.glob(what):
            path.unlink()
        in_turn(log, some)
        until(lambda: counts.stored == 20)
        until(lambda: not log.trouble)
    assert ids_in(file) == [one.request_id for one in some]
    assert "cannot be written: its file is gone" in caplog.text


def test_what_was_written_into_a_file_that_went_meanwhile_is_written_again(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, write = tmp_path / "log.sqlite", writing.write

    def written_and_deleted(*given: Any) -> int:
        monkeypatch.setattr(writing, "write", write)
        done = write(*given)
        file.unlink()
        return done

    monkeypatch.setattr(writing, "write", written_and_deleted)
    with logging_to(file, tmp_path) as (log, counts):
        in_turn(log, requests(served, 10))
        until(lambda: counts.stored == 10)
    assert len(ids_in(file)) == 10


def test_a_file_that_breaks_is_put_aside_and_nothing_is_lost_that_comes_later(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite"
    with logging_to(file, tmp_path) as (log, counts):
        in_turn(log, requests(served, 10))
        until(lambda: counts.stored == 10)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with file.open("r+b") as found:
            found.write(b"\0" * file.stat().st_size)
        in_turn(log, requests(served, 10))
        until(lambda: counts.stored == 20)
        until(lambda: log.trouble.startswith("The prediction log was broken and begun anew."))  # once all is written
        [aside] = log.place.set_aside if log.place else []
        assert str(aside) in log.trouble
        aside.unlink()
        assert log.trouble == ""
    assert len(ids_in(file)) == 10


def test_a_row_that_no_database_takes_is_dropped_alone(served: Served, address: str, tmp_path: Path) -> None:
    some = requests(served, 7)
    some[4] = some[4]._replace(seconds=1e30)  # more microseconds than there are numbers
    with logging_to(address, tmp_path) as (log, counts):
        in_turn(log, some)
    assert (counts.stored, counts.dropped) == (6, 1)
    assert [row[0] for row in rows_of(address, tmp_path, "id")] == [
        one.request_id for one in some if one is not some[4]
    ]


def test_the_end_waits_for_a_lock_only_so_long(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "STOP_S", 0.2)
    file = tmp_path / "log.sqlite"
    with logging_to(file, tmp_path) as (log, counts):
        in_turn(log, requests(served, 10))
        until(lambda: counts.stored == 10)
        lock = locked(file)
        lock.__enter__()
        in_turn(log, requests(served, 20))
    assert (counts.stored, counts.dropped) == (10, 20)
    lock.__exit__(None, None, None)
    until(lambda: not any(thread.name == "lectern-log" for thread in threading.enumerate()))
    assert (counts.stored, counts.dropped) == (10, 20)  # whatever it wrote after all


def test_without_a_key_nothing_is_logged_until_there_is_one(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "_LOOK_FOR_KEY_EVERY_S", 0.0)
    key = tmp_path / "secret"
    with logging_to(tmp_path / "log.sqlite", tmp_path, log_key=key) as (log, counts):
        log.see(requests(served, 3))
        assert f"cannot be written: There is no key at {key}, without which the log can hash nothing." in log.trouble
        key.write_text("x" * 20)
        log.see(requests(served, 2))
        assert log.trouble == ""
    assert (counts.stored, counts.dropped) == (2, 3)
    assert caplog.text.count("Predictions go on, and are not logged.") == 1


# --- there is none


def test_where_none_is_wanted_none_is_kept(served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with logging_to("none", tmp_path / "store") as (log, counts):
        log.see(requests(served, 3))
        log.add_counts([{}])
        assert (log.off, log.trouble, total(counts)) == ("the setting says that there shall be none", "", 0)
    assert not (tmp_path / "store").exists()
    assert caplog.text == ""


@pytest.mark.parametrize("asked", [False, True])
def test_without_its_packages_there_is_none_and_a_line_says_what_brings_it(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, asked: bool
) -> None:
    monkeypatch.setattr(place, "find_spec", lambda _: None)
    settings = ServeSettings(store=tmp_path, prediction_log=str(tmp_path / "log.sqlite") if asked else None)
    log = writer.PredictionLog(settings.open_store(), settings, LogCounts())
    log.start()
    log.see(requests(served, 3))
    log.stop()
    why = "it needs the package 'sqlalchemy', which is not installed here; 'lectern[watch]' brings it"
    assert f"There is no prediction log: {why}." in caplog.text
    assert bool(log.trouble) == asked
    assert not [*tmp_path.iterdir()]
    if asked:
        with pytest.raises(SettingsRefused, match=r"^LECTERN_PREDICTION_LOG=.*log\.sqlite does not do: it needs the"):
            place.check(settings)


def test_a_store_that_nobody_can_write_to_has_none_unless_one_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # what the system says of a read-only mount
    settings = ServeSettings(store=tmp_path / "store")
    log = writer.PredictionLog(settings.open_store(), settings, LogCounts())
    log.start()
    log.stop()
    assert log.off == f"{tmp_path}/store/.log cannot be written to"
    assert log.trouble == ""
    assert "LECTERN_PREDICTION_LOG names a place, or `none`." in caplog.text
