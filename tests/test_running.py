"""serving.running: the records by which services of this user are found, and which of them are believed."""

import json
import os
import platform
import signal
import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest

from contract.store import Store
from serving.running import Running, began, find, keep, private_folder
from serving.settings import ServeSettings
from tests.live import publish_graph, running, until

URL = "http://127.0.0.1:1"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder in which only this test's services keep records."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return folder


def written(folder: Path, **changes: object) -> Path:
    """A record of this process, with changes."""
    own = Running(os.getpid(), URL, "", Path("/store"), began=began(os.getpid()), machine=platform.node())
    record = asdict(own) | changes
    path = folder / f"{record['pid']}-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(record, default=str))
    return path


# --- what is kept


def test_a_service_is_found_while_it_runs(temporary: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    settings = ServeSettings(store=store, workers=3)
    assert find() == []
    with keep(URL, settings):
        [found] = find()
        assert (found.pid, found.url, found.socket, found.log) == (os.getpid(), URL, "", "")
        assert (found.store, found.address, found.settings["workers"]) == (store.resolve(), URL, 3)
        assert found.lives
        assert not found.answers  # nobody listens there
        assert find(store) == [found]
        assert find(tmp_path / "other") == []
    assert find() == []
    assert list(next(temporary.iterdir()).iterdir()) == []


def test_a_store_is_the_same_by_any_path_to_it(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with keep(URL, ServeSettings(store=tmp_path / "link")):
        assert len(find(tmp_path / "store")) == len(find(tmp_path / "link" / ".." / "store")) == 1


def test_the_newest_comes_first(temporary: Path) -> None:
    folder = private_folder()
    assert folder is not None
    for age in (3, 1, 2):
        os.utime(written(folder, log=str(age)), (1e9 - age, 1e9 - age))
    assert [found.log for found in find()] == ["1", "2", "3"]


def test_it_stands_in_the_folder_of_the_session_where_there_is_one(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tmp_path / "session"
    session.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    with keep(URL, ServeSettings()):
        assert [path.name for path in (session / "lectern").iterdir()] == [f"{platform.node()}-{os.getpid()}.json"]
        assert len(find()) == 1
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    with keep(URL, ServeSettings()):
        assert (temporary / f"lectern-{os.getuid()}" / f"{platform.node()}-{os.getpid()}.json").exists()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
        assert len(find()) == 1  # begun in a shell that lacks the variable


def test_real_services_are_found_and_one_that_was_killed_is_forgotten(store: Store) -> None:
    publish_graph(store, "double")
    with running(store) as first, running(store, workers=2) as second:
        assert [(found.pid, found.url) for found in find(store.root)] == [
            (second.process.pid, second.url),
            (first.process.pid, first.url),
        ]
        assert all(found.answers for found in find(store.root))
        folder = private_folder()
        assert folder is not None
        record = folder / f"{platform.node()}-{first.process.pid}.json"
        assert record.exists()
        first.process.send_signal(signal.SIGKILL)
        until(lambda: len(find(store.root)) == 1)
        assert not record.exists()
        second.stop()
        assert find(store.root) == []


# --- what is believed


def test_a_process_that_has_the_number_of_another_one_is_not_taken_for_it(temporary: Path) -> None:
    folder = private_folder()
    assert folder is not None
    path = written(folder, began="1")
    assert find() == []
    assert not path.exists()


def test_records_of_other_machines_are_neither_believed_nor_deleted(temporary: Path) -> None:
    folder = private_folder()
    assert folder
    path = written(folder, machine="elsewhere", pid=2**22 + 1)
    assert find() == []
    assert path.exists()


def test_what_is_no_record_is_passed_over(temporary: Path) -> None:
    folder = private_folder()
    assert folder is not None
    for number, text in enumerate(["", "[]", "{}", '{"pid": "x"}', "\udcff"]):
        (folder / f"{number}.json").write_text(text, errors="surrogateescape")
    written(folder, unknown=1)
    kept = written(folder)
    assert [found.pid for found in find()] == [os.getpid()]
    assert kept.exists()


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file", "another's"])
def test_a_folder_that_is_not_ones_own_is_neither_written_nor_read(temporary: Path, tmp_path: Path, kind: str) -> None:
    folder, aside = temporary / f"lectern-{os.getuid()}", tmp_path / "aside"
    aside.mkdir(mode=0o700)
    if kind == "a link":
        folder.symlink_to(aside)
    elif kind == "a file":
        folder.write_text("")
    else:
        folder.mkdir(mode=0o700)
        written(folder)
        if kind == "open to others":
            folder.chmod(0o755)
        elif os.getuid() == 0:
            os.chown(folder, 1000, 1000)
        else:
            pytest.skip("only root can make a folder another's")
    written(aside)
    assert private_folder() is None
    assert find() == []
    with keep(URL, ServeSettings()):
        assert find() == []
    assert len(list(aside.iterdir())) == 1


def test_a_service_runs_where_no_record_can_be_kept(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "double")
    (tmp_path / f"lectern-{os.getuid()}").write_text("")
    with running(store, environment={"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": ""}) as service:
        assert service.predict({"x": 1}).json()["prediction"] == 2.0
        assert find(store.root) == []


def test_a_record_that_cannot_be_written_stops_nothing(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = private_folder()
    assert folder is not None
    (folder / f"{platform.node()}-{os.getpid()}.part").mkdir()
    with keep(URL, ServeSettings()):
        assert find() == []
