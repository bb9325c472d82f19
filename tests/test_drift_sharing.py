"""serving.drift.sharing: what each worker counted is there for the others, as long as the service runs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from contract.store import Store
from serving.drift.counting import Key
from serving.drift.sharing import Counted, Shared
from serving.drift.slices import Slice
from serving.drift.watching import Drifts
from serving.settings import ServeSettings
from tests.counted import MODEL, publish_counted

KEY = Key(MODEL, 1)
SIZE = 3


def counted(rows: int) -> Counted:
    one = Slice(1.0, 2.0, rows, np.array([rows, 0, 0]))
    return Counted(rows, {"rows": [one], "time": [one, one]})


def of_another(folder: Path, rows: int, worker: int = 1) -> Path:
    """What another worker left."""
    Shared(folder).leave({KEY: counted(rows)})
    (own,) = (path for path in folder.glob(f"drift-{os.getpid()}-*.json"))
    return own.rename(folder / f"drift-{worker}-5.json")


def size(key: Key) -> int | None:
    return SIZE if key == KEY else None


def test_what_the_others_left_is_found_and_own_is_not(tmp_path: Path) -> None:
    for worker in (1, 2):
        of_another(tmp_path, 10 * worker, worker)
    shared = Shared(tmp_path)
    shared.leave({KEY: counted(99)})
    found = [other[KEY] for other in shared.others(size)]
    assert [one.total for one in found] == [10, 20]
    assert [(one.rows, one.counts.tolist()) for one in found[0].by["time"]] == [(10, [10, 0, 0])] * 2
    assert not [*tmp_path.glob("*.part")]


def test_what_was_written_again_is_read_again(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    for rows in (10, 500):
        path = of_another(tmp_path, rows)
        os.utime(path, ns=(rows, rows))
        assert [other[KEY].total for other in shared.others(size)] == [rows]


def test_versions_that_are_not_known_here_are_left_out(tmp_path: Path) -> None:
    Shared(tmp_path).leave({KEY: counted(1), Key("gone", 1): counted(2)})
    (own,) = tmp_path.glob("drift-*.json")
    own.rename(tmp_path / "drift-1-5.json")
    assert [list(other) for other in Shared(tmp_path).others(size)] == [[KEY]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b'{"a": 1}',
        b'[{"model": "times", "version": 1, "total": 1, "rows": [[1, 2, 3, [1]]], "time": []}]',
    ],
)
def test_a_damaged_file_is_skipped_and_told_of_once(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    of_another(tmp_path, 10, 1)
    path = of_another(tmp_path, 20, 2)
    path.write_bytes(content)
    shared = Shared(tmp_path)
    for _ in range(3):
        assert sum(other[KEY].total for other in shared.others(size) if other) == 10
    assert [record.message for record in caplog.records] == [
        "What another worker counted for drift cannot be read: drift-2-5.json"
    ]


def test_a_folder_that_cannot_be_written_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shared = Shared(tmp_path / "gone")
    for _ in range(3):
        shared.leave({KEY: counted(1)})
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "What this worker counted for drift cannot be written: No such file or directory.")
    ]
    assert [*shared.others(size)] == []


def test_windows_hold_the_rows_of_all_workers_also_of_one_that_died(store: Store, tmp_path: Path) -> None:
    publish_counted(store)
    one, other = (Drifts(store, ServeSettings(shared_folder=tmp_path)) for _ in range(2))
    parts = one.reference(MODEL, 1)
    for worker, rows in enumerate((300, 400)):
        numbers = parts.count({"x": [0.0] * rows}, [0.0] * rows)
        some = Slice(float(worker), float(worker), rows, numbers)
        Shared(tmp_path).leave({KEY: Counted(rows, {"rows": [some], "time": [some]})})
        (own,) = tmp_path.glob(f"drift-{os.getpid()}-*.json")
        own.rename(tmp_path / f"drift-{worker}-5.json")
    assert one.evaluation(MODEL, 1).rows == other.evaluation(MODEL, 1).rows == 700
    assert len(one.evaluation(MODEL, 1).alarms) == 2
    one._evaluate()
    assert [(*found[:3], found[4]) for found in one.gauges()] == []  # they came in 1970
