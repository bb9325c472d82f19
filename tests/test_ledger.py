"""serving.ledger: what workers counted is there for all, once, whatever became of them and of their files."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from serving import ledger
from serving.ledger import Ledger
from serving.metrics import SHEET, Sheet
from serving.running import began
from tests.live import PATIENCE_S, ROOT

DEATHS = 20

WORKERS = """
import os, signal, sys, time
from pathlib import Path
from serving.ledger import Ledger
from serving.metrics import SHEET, Sheet
from serving.observation import Observation

folder, number = Path(sys.argv[1]), int(sys.argv[2])
ends = [os.pipe() for _ in range(number)]
for n, (ours, theirs) in enumerate(ends):
    if not os.fork():
        seen = Observation(folder)
        counts = seen.sheet.of("iris", 1)
        counts.requests(200, [0.001], 1, "champion")
        seen.sheet.gauges.in_flight = {"iris": {1: 1}}
        Ledger(folder).write(SHEET.dump_json(seen.sheet))
        if n % 2:
            (folder / f"counts-{os.getpid()}-unfinished").write_text("")
        if n % 4 == 0:
            Ledger(folder).others()
        os.write(theirs, b"x")
        time.sleep(3600)
for ours, _ in ends:
    os.read(ours, 1)
os.killpg(0, signal.SIGKILL)
"""


def left(folder: Path, process: int, since: str, sheet: Sheet) -> Path:
    """The file of another worker."""
    path = folder / f"counts-{process}-{since}.json"
    path.write_bytes(SHEET.dump_json(sheet))
    return path


def counted(rows: int, **facts: object) -> Sheet:
    sheet = Sheet(**facts)  # type: ignore[arg-type]  # of its own types
    sheet.of("iris", 1).rows = rows
    sheet.gauges.in_flight = {"iris": {1: rows}}
    return sheet


def alive() -> tuple[int, str]:
    """A process that is there, and is not this one."""
    return os.getppid(), began(os.getppid())


def test_what_lives_counts_with_its_gauges_and_what_has_ended_without(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(SHEET.dump_json(counted(1_000)))  # its own, which it knows itself
    left(tmp_path, *alive(), counted(1))
    ended = [left(tmp_path, os.getppid(), "1", counted(10)), left(tmp_path, 4_000_000, "2", counted(100, ended=True))]
    for _ in range(3):
        found = ledger.others()
        assert found.of("iris", 1).rows == 111
        assert found.gauges.in_flight == {"iris": {1: 1}}
        assert (found.deaths, found.damaged) == ({"crash": 1}, 0)
        assert not any(path.exists() for path in ended)
    assert len([*tmp_path.glob("counts-*")]) == 2


def test_a_file_that_was_added_up_does_not_count_again_although_nobody_came_to_remove_it(tmp_path: Path) -> None:
    path = left(tmp_path, 4_000_000, "2", counted(10))
    content = path.read_bytes()
    assert Ledger(tmp_path).others().of("iris", 1).rows == 10
    document = json.loads((tmp_path / "ended.json").read_bytes())
    assert document["names"] == [path.name]
    path.write_bytes(content)  # as if whoever added it up had been killed then
    left(tmp_path, 4_000_001, "2", counted(100))
    for _ in range(2):
        assert Ledger(tmp_path).others().of("iris", 1).rows == 110
        assert not path.exists()


def test_one_that_died_while_the_system_was_out_of_memory_died_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "kills", lambda: 7)
    for process, seen in (4_000_000, 6), (4_000_001, 7), (4_000_002, 7):
        left(tmp_path, process, "2", replace(counted(1), kills=seen))
    for _ in range(2):
        assert Ledger(tmp_path).others().deaths == {"memory": 1, "crash": 2}
    assert sorted(caplog.messages) == [
        "Worker 4000000 died as memory ran out; another one takes its place.",
        "Worker 4000001 died; another one takes its place.",
        "Worker 4000002 died; another one takes its place.",
    ]


@pytest.mark.parametrize("content", [b"", b'{"versions": {"iris"', b"null", b"\0" * 9])
def test_a_damaged_file_is_counted_as_such_and_harms_no_other(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    living, dead = (left(tmp_path, *whose, counted(1)) for whose in (alive(), (4_000_000, "2")))
    left(tmp_path, 4_000_001, "2", counted(10))
    for path in (living, dead):
        path.write_bytes(content)
    for _ in range(3):
        found = Ledger(tmp_path).others()
        assert (found.damaged, found.of("iris", 1).rows, found.deaths) == (2, 10, {"crash": 1})
    assert living.exists()  # it will be written again
    assert not dead.exists()
    assert caplog.messages.count(f"The counts of another worker cannot be read: {dead.name}") == 1
    (tmp_path / "ended.json").write_bytes(content)
    left(tmp_path, 4_000_002, "2", counted(100))
    for _ in range(2):
        found = Ledger(tmp_path).others()
        assert (found.damaged, found.of("iris", 1).rows) == (3, 100)


def test_who_reads_waits_for_who_adds_up(tmp_path: Path) -> None:
    left(tmp_path, 4_000_000, "2", counted(10))
    found: list[int] = []
    reading = threading.Thread(target=lambda: found.append(Ledger(tmp_path).others().of("iris", 1).rows))
    with (tmp_path / "ended.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reading.start()
        reading.join(0.2)
        assert not found
        assert not (tmp_path / "ended.json").exists()
    reading.join(PATIENCE_S)
    assert found == [10]


def test_where_nothing_can_be_written_all_is_told_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(tmp_path, 4_000_000, "2", counted(10))
    (tmp_path / "ended.part").mkdir()  # in the place of what would be written
    for _ in range(2):
        assert Ledger(tmp_path).others().of("iris", 1).rows == 10
        assert path.exists()
    assert "The counts of workers that have ended stay where they are: Is a directory." in caplog.messages
    (tmp_path / "ended.lock").unlink()
    (tmp_path / "ended.lock").mkdir()
    (tmp_path / "ended.part").rmdir()
    assert Ledger(tmp_path).others().of("iris", 1).rows == 10
    assert path.exists()
    broken = left(tmp_path, 4_000_001, "2", counted(1))
    broken.write_bytes(b"")
    assert Ledger(tmp_path / "gone").others() == Sheet()


def test_workers_that_are_killed_are_added_up_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKERS, str(tmp_path), str(DEATHS)]
    done = subprocess.run(command, cwd=ROOT, start_new_session=True, check=False, timeout=60)
    assert done.returncode == -9
    readers = "import sys; from pathlib import Path; from serving.ledger import Ledger; from serving.metrics import *\n"
    readers += (
        "print([(s := Ledger(Path(sys.argv[1])).others()).of('iris', 1).rows for _ in range(5)], s.deaths.total())"
    )
    some = [
        subprocess.Popen([sys.executable, "-c", readers, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [reader.communicate(timeout=60)[0] for reader in some] == [f"{[DEATHS] * 5} {DEATHS}\n"] * 2
    found = Ledger(tmp_path).others()
    assert (found.of("iris", 1).aliases["champion"][2], found.deaths.total(), found.damaged) == (DEATHS, DEATHS, 0)
    assert found.gauges.in_flight == {}
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["ended.json"]
