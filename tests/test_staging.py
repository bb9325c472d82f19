"""contract.staging: an artifact while it is written."""

import os
import re
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from contract.artifact import Artifact
from contract.errors import ExportRefused
from contract.manifest import MANIFEST, MAX_BYTES, File
from contract.staging import ABANDONED_AFTER_S, PREFIX, Stage, sweep, sync_folder
from contract.store import Store
from tests.samples import FILES, manifest, sealed


def test_a_stage_is_hidden_and_says_whose_it_is(store: Store) -> None:
    stage = store.stage()
    assert not stage.sealed
    assert re.fullmatch(rf"\.staging-[A-Za-z0-9._]*-{os.getpid()}-[0-9a-f]{{12}}", stage.folder.name)
    assert stage.folder.parent == store.root
    assert store.models() == []


def test_the_folders_above_a_store_are_made_with_it(tmp_path: Path) -> None:
    assert Stage.create(tmp_path / "new" / "store").folder.is_dir()


def test_two_stages_of_one_process_are_two(store: Store) -> None:
    assert store.stage().folder != store.stage().folder


def test_sealing_names_every_file(store: Store) -> None:
    stage = store.stage()
    for name, content in FILES.items():
        stage.path(name).write_bytes(content)
    written = stage.seal(manifest())
    assert stage.sealed
    assert written.files == {
        name: File(size=len(content), sha256=sha256(content).hexdigest()) for name, content in FILES.items()
    }
    assert Artifact(stage.folder).manifest == written
    Artifact(stage.folder).verify()


def test_sealing_again_names_what_was_added(store: Store) -> None:
    stage = sealed(store)
    stage.path("report.html").write_text("<p>")
    stage.path("model.joblib").write_bytes(b"another")
    stage.seal(Artifact(stage.folder).manifest)
    found = Artifact(stage.folder)
    found.verify()
    assert set(found.manifest.files) == {*FILES, "report.html"}
    assert found.read("model.joblib") == b"another"


def test_a_manifest_that_no_reader_would_take_is_not_written(store: Store) -> None:
    stage = store.stage()
    with pytest.raises(
        ExportRefused, match=r"^The manifest of 'iris' would have 1,0\d\d,\d{3} bytes and 1,048,576 are"
    ):
        stage.seal(manifest(description="x" * (1 << 20)))
    assert not stage.sealed


def test_a_manifest_may_be_as_large_as_is_read(store: Store) -> None:
    stage = store.stage()
    stage.seal(manifest(description="x" * 100_000))
    more = MAX_BYTES - (stage.folder / MANIFEST).stat().st_size
    stage.seal(manifest(description="x" * (100_000 + more)))
    assert (stage.folder / MANIFEST).stat().st_size == MAX_BYTES
    with pytest.raises(ExportRefused, match="would have 1,048,577 bytes and 1,048,576 are allowed"):
        stage.seal(manifest(description="x" * (100_001 + more)))


def test_only_a_folder_has_entries_to_make_durable_and_it_is_closed_again(store: Store) -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    sync_folder(sealed(store).folder)
    with pytest.raises(NotADirectoryError):
        sync_folder(sealed(store).path("model.joblib"))
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_a_folder_cannot_be_sealed(store: Store) -> None:
    stage = store.stage()
    stage.path("folder").mkdir()
    with pytest.raises(IsADirectoryError):
        stage.seal(manifest())
    assert not stage.sealed


def test_discarding_removes_everything(store: Store) -> None:
    stage = sealed(store)
    stage.path("folder").mkdir()
    stage.path("folder/file").write_text("")
    stage.discard()
    assert list(store.root.iterdir()) == []
    stage.discard()


# --- stages that nobody will publish


@pytest.fixture(scope="module")
def dead() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def left(store: Store, owner: object, *, host: str | None = None, age_s: float = ABANDONED_AFTER_S + 60) -> Path:
    """A stage that somebody left behind."""
    stage = sealed(store)
    own = stage.folder.name.removeprefix(PREFIX).rsplit("-", 2)[0]
    folder = stage.folder.rename(store.root / f"{PREFIX}{own if host is None else host}-{owner}-0123456789ab")
    moment = time.time() - age_s
    os.utime(folder, (moment, moment))
    return folder


def test_what_a_dead_process_left_an_hour_ago_is_swept_away(store: Store, dead: int) -> None:
    gone = left(store, dead)
    stage = Stage.create(store.root)
    assert not gone.exists()
    assert stage.folder.exists()


def test_what_is_gone_when_it_is_looked_at_keeps_nobody_from_looking_on(store: Store, dead: int) -> None:
    gone = left(store, dead)
    for number in range(50):  # in any order: one of them comes before it
        (store.root / f"{PREFIX}{number}").symlink_to("nowhere")
    sweep(store.root)
    assert not gone.exists()


def test_what_may_still_be_needed_stays(store: Store, dead: int) -> None:
    kept = [
        left(store, os.getpid()),  # its owner lives
        left(store, 1),  # so does this one, which belongs to somebody else
        left(store, dead, host="another-host"),
        left(store, dead, host=""),
        left(store, "x"),
    ]
    kept.append(left(store, dead, age_s=ABANDONED_AFTER_S - 60))
    kept.append(store.root / f"{PREFIX}link")  # stands for one that is gone when it is looked at
    kept[-1].symlink_to("nowhere")
    sweep(store.root)
    assert [path for path in kept if not path.is_symlink() and not path.exists()] == []


def test_only_stages_are_swept_away(store: Store, dead: int) -> None:
    store.publish(sealed(store))
    stage = left(store, dead)
    for name in ("iris", ".runs", f"x{stage.name}", f"{stage.name}x", stage.name.removeprefix(".")):
        (store.root / name).mkdir(exist_ok=True)
        os.utime(store.root / name, (0, 0))
    (store.root / MANIFEST).write_text("")
    sweep(store.root)
    assert len(list(store.root.iterdir())) == 6
    store.artifact("iris").verify()
