"""contract.artifact: files are read only as they were published."""

import os
import random
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.artifact import Artifact
from contract.errors import ArtifactError, ChecksumMismatch, ManifestInvalid, NotRegularFile
from contract.manifest import MANIFEST, MAX_BYTES
from tests.samples import FILES, artifact

MODEL = "model.joblib"


@pytest.fixture
def published(tmp_path: Path) -> Artifact:
    return artifact(tmp_path)


def again(published: Artifact) -> Artifact:
    """The same folder, as somebody sees it who has not read its manifest yet."""
    return Artifact(published.folder)


def test_an_artifact_gives_its_files_as_they_were_written(published: Artifact) -> None:
    published.verify()
    assert {name: published.read(name) for name in published.manifest.files} == FILES


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    assert artifact(tmp_path, {"empty": b""}).read("empty") == b""


def test_the_beginning_of_a_file_is_as_long_as_asked_for(published: Artifact) -> None:
    whole = FILES["notebook.ipynb"]
    assert [published.beginning("notebook.ipynb", most) for most in (1, 256, 1 << 20)] == [
        whole[:1],
        whole[:256],
        whole,
    ]


def test_an_empty_file_begins_with_nothing(tmp_path: Path) -> None:
    assert artifact(tmp_path, {"empty": b""}).beginning("empty", 10) == b""


def test_a_file_that_the_manifest_does_not_name_is_not_read(published: Artifact) -> None:
    (published.folder / "extra.txt").write_text("extra")
    for name in ("extra.txt", MANIFEST, "../1/model.joblib", ""):
        with pytest.raises(ChecksumMismatch, match=f"The manifest names no file {re.escape(name)}."):
            published.read(name)


# --- damage


def test_no_flipped_bit_of_a_file_goes_unseen(published: Artifact) -> None:
    rng = random.Random(0)
    for _ in range(1000):
        path = published.folder / rng.choice(list(FILES))
        whole = path.read_bytes()
        place = rng.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        with pytest.raises(
            ChecksumMismatch, match=f"{path.name} is not the file that was published: its SHA-256 differs"
        ):
            published.read(path.name)
        with pytest.raises(ChecksumMismatch):
            published.verify()
        path.write_bytes(whole)
    published.verify()


def test_no_flipped_bit_of_the_manifest_lets_another_file_pass(published: Artifact) -> None:
    """What else the manifest says, only a signature could vouch for."""
    rng, files = random.Random(0), published.manifest.files
    path = published.folder / MANIFEST
    whole = path.read_bytes()
    refused = 0
    for _ in range(1000):
        place = rng.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        try:
            again(published).verify()
        except ArtifactError:
            refused += 1
        else:
            assert again(published).manifest.files == files
    assert refused > 800


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.999])
def test_a_truncated_file_is_seen(published: Artifact, share: float) -> None:
    for name, content in FILES.items():
        length = int(len(content) * share)
        os.truncate(published.folder / name, length)
        says = f"^{name} has {length:,} bytes; the manifest says {len(content):,}.$"
        with pytest.raises(ChecksumMismatch, match=says):
            published.read(name)
        (published.folder / name).write_bytes(content)
    published.verify()


def test_a_longer_file_is_seen(published: Artifact) -> None:
    with (published.folder / MODEL).open("ab") as file:
        file.write(b"!")
    with pytest.raises(ChecksumMismatch, match=r"model.joblib has 12 bytes; the manifest says 11\."):
        published.verify()


# --- files that are none


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def hard_link(path: Path) -> None:
    (path.parent / "second").hardlink_to(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # the path of a socket may be no longer than 100 bytes
        server.bind(path.name)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("name", [MODEL, MANIFEST])
@pytest.mark.parametrize("put", [link, dangling, hard_link, folder, fifo, unix_socket, device])
def test_what_is_no_file_of_its_own_is_not_opened(
    published: Artifact, monkeypatch: pytest.MonkeyPatch, name: str, put: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(published.folder)
    put(published.folder / name)
    with pytest.raises(NotRegularFile, match=f"^{name} is not a file of its own.$"):
        again(published).verify()


def test_a_missing_file_is_named(published: Artifact) -> None:
    (published.folder / MODEL).unlink()
    with pytest.raises(NotRegularFile, match=r"^model.joblib is missing\.$"):
        published.verify()


def test_a_folder_that_is_a_link_or_a_file_is_no_artifact(published: Artifact) -> None:
    (published.folder.parent / "8").symlink_to(published.folder, target_is_directory=True)
    (published.folder.parent / "9").write_text("9")
    for number in ("8", "9"):
        with pytest.raises(NotRegularFile, match=f"^{number} is not a folder of its own.$"):
            Artifact(published.folder.parent / number).verify()


def test_a_folder_without_a_manifest_is_no_artifact(published: Artifact) -> None:
    (published.folder / MANIFEST).unlink()
    with pytest.raises(ManifestInvalid, match="The artifact has no manifest"):
        again(published).verify()
    shutil.rmtree(published.folder)
    with pytest.raises(ManifestInvalid, match="The artifact has no manifest"):
        again(published).verify()


def test_a_huge_manifest_is_not_even_read(published: Artifact) -> None:
    os.truncate(published.folder / MANIFEST, 50 << 30)  # would not fit into memory
    with pytest.raises(ManifestInvalid, match=re.escape(f"The manifest has 53,687,091,200 bytes; {MAX_BYTES:,} are")):
        again(published).verify()


def test_what_passes_is_no_verdict_on_the_artifact(published: Artifact) -> None:
    """Another time there are fewer open files, or the disk answers: such errors stay what they are."""
    script = f"""
import os, resource
from pathlib import Path
from contract.artifact import Artifact
Artifact(Path({str(published.folder)!r})).verify()
free = os.dup(0)
os.close(free)
for more in (0, 1):  # the folder cannot be opened, then a file in it
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, free + 1))
    try:
        Artifact(Path({str(published.folder)!r})).verify()
    except OSError as error:
        print(error.strerror, error.filename)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == f"Too many open files {published.folder}\nToo many open files {MANIFEST}\n", done.stderr


def test_verifying_loads_nothing_that_could_run_a_file(published: Artifact) -> None:
    script = f"""
import sys
from pathlib import Path
from contract.artifact import Artifact
Artifact(Path({str(published.folder)!r})).verify()
print({{name.partition(".")[0] for name in sys.modules}} & {{"joblib", "cloudpickle", "onnxruntime", "numpy"}})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
