"""serving.prediction_log.database.opening: what becomes of a file that is no log, or a broken one, or not to be had."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from contract.errors import LogUnavailable
from serving.prediction_log.database import opening
from serving.prediction_log.database.opening import opened
from serving.prediction_log.database.writing import write
from serving.prediction_log.place import CORRUPT
from tests.logged import database, ids_in, place, row_to_write, rows_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A log with one row, that nobody has open."""
    path = tmp_path / "log" / "predictions.sqlite"
    with database(path, tmp_path) as found:
        write(found, [row_to_write("a")])
    return path


def overwritten(file: Path) -> None:
    with file.open("r+b") as found:
        found.write(b"\0" * 100)


def text(file: Path) -> None:
    file.write_text("no database at all\n" * 100)


def scrambled(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    file.write_bytes(content)


def without_a_table(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE feedback")
    connection.close()


def without_a_column(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("ALTER TABLE predictions RENAME COLUMN alias TO nickname")
    connection.close()


def without_its_version(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE lectern_log_version")
    connection.close()


BREAKS = [overwritten, text, scrambled, without_a_table, without_a_column, without_its_version]


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_file_is_put_aside_and_a_new_one_begun(
    file: Path, tmp_path: Path, broken: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    broken(file)
    content = file.read_bytes()
    assert rows_of(file, tmp_path, "id") == []
    [aside] = place(file, tmp_path).set_aside
    assert aside.name.startswith(f"{file.name}{CORRUPT}")
    assert aside.read_bytes() == content
    [line] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"is broken ({line.args[1]}). It was moved to {aside.name}; a new one is begun." in line.getMessage()  # type: ignore[index]
    assert file.stat().st_mode & 0o777 == 0o600
    assert rows_of(file, tmp_path, "id") == []
    assert place(file, tmp_path).set_aside == [aside]


def test_what_belongs_to_a_broken_file_goes_with_it(file: Path, tmp_path: Path) -> None:
    for ending in ("-wal", "-shm"):
        (file.parent / f"{file.name}{ending}").write_text(ending)
    opening._put_aside(file, "it is broken")
    [aside] = place(file, tmp_path).set_aside
    assert [(aside.parent / f"{aside.name}{ending}").read_text() for ending in ("-wal", "-shm")] == ["-wal", "-shm"]
    assert not [path for path in file.parent.iterdir() if path.name in (file.name, f"{file.name}-wal")]


def test_a_database_of_something_else_is_left_alone_where_a_setting_names_it(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id)")
    connection.close()
    with pytest.raises(LogUnavailable, match=r"shop\.sqlite holds tables of something else: orders$"):
        opened(place(path, tmp_path))
    assert sorted(found.name for found in tmp_path.glob("shop*")) == ["shop.sqlite"]


def test_what_is_not_there_is_not_made_for_somebody_who_reads(tmp_path: Path) -> None:
    with pytest.raises(
        LogUnavailable, match=r"^There is no prediction log at .*; it begins with the first answer of a"
    ):
        opened(place(tmp_path / "log" / "none.sqlite", tmp_path), make=False)
    assert not (tmp_path / "log").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogUnavailable, match=r"^(File exists|Not a directory): .*/file"):
        opened(place(tmp_path / "file" / "log.sqlite", tmp_path))


def test_a_file_that_may_only_be_read_is_left_alone(file: Path, tmp_path: Path) -> None:
    for folder in [tmp_path, *list(tmp_path.parents)[:2], file.parent]:
        folder.chmod(0o755)
    file.chmod(0o444)
    file.parent.chmod(0o555)
    with somebody_else(), pytest.raises(LogUnavailable, match=r"readonly database|Permission denied|unable to open"):
        write_one(file, tmp_path)
    file.parent.chmod(0o755)
    file.chmod(0o644)
    assert [path.name for path in file.parent.iterdir() if CORRUPT in path.name] == []
    assert ids_in(file) == ["a"]


@contextmanager
def somebody_else() -> Iterator[None]:
    """Nobody in particular where the tests run as root, whom no mode of a file keeps from anything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def write_one(file: Path, folder: Path, name: str = "b") -> None:
    with database(file, folder, patience_s=30) as found:
        write(found, [row_to_write(name)])


def test_one_process_at_a_time_looks_whether_a_file_is_broken(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_ALONE_S", 0.05)
    with (file.parent / f".{file.name}.opening").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(
            LogUnavailable, match=r"another process has been opening .*predictions\.sqlite for 0\.05 s$"
        ):
            opened(place(file, tmp_path))
    assert rows_of(file, tmp_path, "id") == [("a",)]


def test_many_who_open_a_new_log_at_once_all_can(tmp_path: Path) -> None:
    file, names = tmp_path / "log" / "predictions.sqlite", list("abcdefgh")
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(partial(write_one, file, tmp_path), names))
    assert sorted(ids_in(file)) == names


def test_who_writes_has_the_lock_from_the_beginning_and_who_reads_never(file: Path, tmp_path: Path) -> None:
    with database(file, tmp_path) as found, closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as other:
        with found.writing(), pytest.raises(sqlite3.OperationalError, match="database is locked"):
            other.execute("BEGIN IMMEDIATE")
        with found.reading():
            other.execute("BEGIN IMMEDIATE")
