"""What the store, the log of promotions and the files of keys say and leave where the system refuses in the middle."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract import keys
from contract.errors import AccessRefused, KeyRefused, PublishFailed
from contract.staging import ABANDONED_AFTER_S, PREFIX, sweep
from contract.store import Store
from serving.access import key_file
from tests.promoting import MODEL, promotion
from tests.samples import FILES, sealed
from tests.signed import signer

Refuse = Callable[..., None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Have a function of `os` fail for what it is told to."""

    def refuse(name: str, number: int, concerning: Callable[..., bool]) -> None:
        function = getattr(os, name)

        def call(*given: Any, **named: Any) -> Any:
            if concerning(*given):
                raise OSError(number, os.strerror(number), given[0])
            return function(*given, **named)

        monkeypatch.setattr(os, name, call)

    return refuse


def opened(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


@pytest.mark.parametrize("what", ["stage", "signature", "promotion", "pair of keys", "callers"])
def test_what_is_made_durable_is_whole_by_then(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    sizes: dict[Path, int] = {}

    def look(descriptor: int) -> None:
        sizes[opened(descriptor)] = os.fstat(descriptor).st_size

    monkeypatch.setattr(os, "fsync", look)
    if what == "stage":
        assert sealed(store).folder in sizes
    elif what == "signature":
        by = signer(tmp_path / "keys")
        monkeypatch.setattr(os, "rename", lambda *_: None)  # the stage stays where it was looked at
        store.publish(sealed(store), by)
    elif what == "promotion":
        store.publish(sealed(store, model=MODEL))
        log = store.promotions(MODEL)
        monkeypatch.setattr(os, "unlink", lambda *_: None)
        log.append(promotion(), after=log.read())
        assert {log.folder, log.folder.parent} <= sizes.keys()
    elif what == "callers":
        monkeypatch.setattr(os, "replace", lambda *_: None)
        key_file.add(tmp_path / "callers" / "keys.json", "ada", ["read"])
        assert tmp_path / "callers" in sizes
    else:
        keys.new(tmp_path, "mine")
    files = {path: size for path, size in sizes.items() if path.is_file()}
    assert files
    assert files == {path: path.stat().st_size for path in files}
    assert all(files.values())


def test_no_file_of_a_withdrawn_version_goes_before_its_new_name_is_durable(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(sealed(store, model=MODEL))
    there: list[tuple[Path, int]] = []

    def look(descriptor: int) -> None:
        there.append((opened(descriptor), len(list((store.root / MODEL).glob(".withdrawn-1/*")))))

    monkeypatch.setattr(os, "fsync", look)
    store.withdraw(MODEL, [1])
    assert there == [(store.root / MODEL, 1 + len(FILES))]
    assert not list((store.root / MODEL).glob(".withdrawn-1/*"))


def test_a_version_whose_name_may_not_last_is_taken_back(store: Store, refuse: Refuse) -> None:
    folder = store.root / MODEL
    refuse("fsync", errno.EIO, lambda descriptor: opened(descriptor) == folder and (folder / "1").exists())
    stage = sealed(store, model=MODEL)
    with pytest.raises(PublishFailed) as raised:
        store.publish(stage)
    assert str(raised.value) == (
        f"Could not publish to {folder}: Input/output error. "
        "Version 1 was taken back; make room or mend the disk and export again."
    )
    assert list(store.root.rglob("*")) == [folder, folder / ".withdrawn-1"]
    assert store.publish(sealed(store, model=MODEL)) == 2


def test_so_it_is_where_its_files_cannot_be_removed(store: Store, refuse: Refuse) -> None:
    folder = store.root / MODEL
    refuse("fsync", errno.EIO, lambda descriptor: opened(descriptor) == folder)
    refuse("unlink", errno.EROFS, lambda path: ".withdrawn" in str(path))
    with pytest.raises(
        PublishFailed, match=r"^Could not publish to .*: Input/output error\. Version 1 was taken back;"
    ):
        store.publish(sealed(store, model=MODEL))
    assert store.versions(MODEL) == []


def test_a_version_that_cannot_be_taken_back_either_is_told_of(store: Store, refuse: Refuse) -> None:
    folder = store.root / MODEL
    refuse("fsync", errno.EIO, lambda descriptor: opened(descriptor) == folder)
    refuse("rename", errno.EIO, lambda source, target: ".withdrawn" in str(target))
    stage = sealed(store, model=MODEL)
    says = (
        r": Input/output error\. Version 1 is whole and can be seen, but may not survive a power failure; make room or"
    )
    with pytest.raises(PublishFailed, match=says):
        store.publish(stage)
    store.artifact(MODEL, 1).verify()


def test_a_version_that_cannot_get_its_name_is_not_tried_again(store: Store, refuse: Refuse) -> None:
    tried = []

    def full(source: Any, target: Any) -> bool:
        tried.append(Path(target).name)
        return True

    refuse("rename", errno.ENOSPC, full)
    stage = sealed(store, model=MODEL)
    with pytest.raises(
        PublishFailed, match=r": No space left on device\. Nothing became visible; make room or mend the "
    ):
        store.publish(stage)
    assert tried == ["1"]
    assert list(store.root.rglob("*")) == [store.root / MODEL]


def test_a_number_that_is_taken_meanwhile_is_passed_over(store: Store, refuse: Refuse) -> None:
    refuse("rename", errno.EEXIST, lambda source, target: Path(target).name in ("1", "2"))
    assert store.publish(sealed(store, model=MODEL)) == 3


def abandoned(store: Store) -> Path:
    """A stage of a process that is not there."""
    stage = sealed(store)
    host = stage.folder.name.removeprefix(PREFIX).rsplit("-", 2)[0]
    left = stage.folder.rename(store.root / f"{PREFIX}{host}-999999999-0123456789ab")
    os.utime(left, (then := time.time() - ABANDONED_AFTER_S - 60, then))
    return left


def test_a_stage_that_cannot_be_removed_stops_nobody(store: Store, refuse: Refuse) -> None:
    stage, left = sealed(store), abandoned(store)
    refuse("rmdir", errno.EROFS, lambda *_: True)
    sweep(store.root)
    stage.discard()
    assert (list(left.iterdir()), list(stage.folder.iterdir())) == ([], [])


def test_a_stage_whose_owner_is_somebody_else_stays(store: Store, refuse: Refuse) -> None:
    left = abandoned(store)
    refuse("kill", errno.EPERM, lambda process, signal: (process, signal) == (999_999_999, 0))
    sweep(store.root)
    assert left.exists()


def test_an_entry_that_may_not_be_read_is_no_damage_to_the_log(store: Store, refuse: Refuse) -> None:
    store.publish(sealed(store, model=MODEL))
    log = store.promotions(MODEL)
    log.append(promotion(), after=log.read())
    refuse("open", errno.EACCES, lambda path, *_: str(path).endswith("00000001.json"))
    with pytest.raises(PermissionError, match="Permission denied"):
        log.read()


def test_a_folder_of_keys_that_may_not_be_read_is_told_of(tmp_path: Path, refuse: Refuse) -> None:
    refuse("listdir", errno.EACCES, lambda path: Path(path) == tmp_path)
    with pytest.raises(KeyRefused, match=r"^The keys in .* cannot be read: Permission denied\.$"):
        keys.read_trusted(tmp_path)


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_file_of_callers_that_cannot_be_written_stays_as_it_was(tmp_path: Path, refuse: Refuse, name: str) -> None:
    path = tmp_path / "callers" / "keys.json"
    key_file.add(path, "ada", ["read"])
    before = path.read_bytes()
    refuse(name, errno.ENOSPC, lambda *_: True)
    with pytest.raises(AccessRefused, match=r"keys\.json cannot be written: No space left on device\.$"):
        key_file.add(path, "bob", ["read"])
    assert [found.name for found in path.parent.iterdir()] == ["keys.json"]
    assert path.read_bytes() == before
