"""Where an export writes: a store that refuses, and the stage that the runner has prepared. Nothing is half done."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.artifact import Artifact
from contract.errors import ExportRefused, PublishFailed
from contract.formats import FORMATS
from contract.store import Store
from pipeline import export
from tests.test_exporting import FLOWERS, RIDGE, WEIGHT, entries


@pytest.fixture(autouse=True)
def settings(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LECTERN_STORE", str(store.root))


class Own:
    """The start of a model as somebody writes it in a cell."""

    __module__ = "__main__"

    def predict(self, frame: Any) -> Any:
        return np.zeros(len(frame))


class Holds(Own):
    def __init__(self, thing: Any) -> None:
        self.thing = thing


@pytest.fixture
def small_files() -> Iterator[None]:
    """A disk on which no file gets larger than 8 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 10, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_store_is_a_clear_failure(store: Store, small_files: None) -> None:
    with pytest.raises(
        PublishFailed, match=rf"^Could not write to the store {store.root}: File too large\. No version"
    ):
        export(Holds(os.urandom(1 << 20)), "weight", FLOWERS)
    assert entries(store) == []


def test_a_store_that_cannot_be_written_to_is_a_clear_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LECTERN_STORE", str(tmp_path / "file" / "store"))
    with pytest.raises(PublishFailed, match=r"^Cannot write to the store /.*/file/store: Not a directory\.$"):
        export(RIDGE, "weight", FLOWERS)


# --- under the runner


def test_under_the_runner_it_stages_once_and_does_not_publish(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = store.stage()
    monkeypatch.setenv("LECTERN_TRAIN_STAGE", str(stage.folder))
    with pytest.raises(ExportRefused, match="cannot be saved"):
        export(Holds(threading.Lock()), "weight", FLOWERS)
    made = export(RIDGE, "weight", FLOWERS, WEIGHT)  # a later cell may try again
    assert (made.version, made.manifest.run.kind, store.models()) == (None, "papermill", [])
    assert "staged, a version as soon as the run ends" in repr(made)
    assert entries(store) == [stage.folder.name]
    Artifact(stage.folder).verify()
    assert {kind.file for kind in FORMATS.values()} < Artifact(stage.folder).manifest.files.keys()

    before = {path.name: path.read_bytes() for path in stage.folder.iterdir()}
    with pytest.raises(
        ExportRefused, match=r"^This run has exported a model already; one training notebook makes one v"
    ):
        export(RIDGE, "weight", FLOWERS, WEIGHT)
    assert {path.name: path.read_bytes() for path in stage.folder.iterdir()} == before


def test_a_stage_that_is_gone_is_a_clear_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_TRAIN_STAGE", str(tmp_path / "gone" / "stage"))
    with pytest.raises(PublishFailed, match=r"^Cannot write to the stage /.*/gone/stage: No such file or directory\.$"):
        export(RIDGE, "weight", FLOWERS)
