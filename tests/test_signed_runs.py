"""Versions are signed as they are published, by a run, a sweep and `export`; and nobody else learns of the key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from contract import signing
from contract.artifact import Artifact
from contract.errors import KeyRefused
from contract.keys import Pair, new, read_trusted
from contract.signing import SIGNATURE, Statement
from contract.store import Store
from pipeline import export
from pipeline.running.planning import Planner
from pipeline.running.training import train
from pipeline.settings import TrainSettings
from pipeline.sweeping import Where, sweep
from pipeline.sweeping.leaderboard import Leaderboard
from tests.conftest import WriteNotebook
from tests.test_exporting import FLOWERS, RIDGE, WEIGHT
from tests.test_sweeping import EXPORT

PROBE = """
import json, os
from pathlib import Path
os.environ.setdefault("OMP_NUM_THREADS", "1")
Path("seen").write_text(json.dumps(dict(os.environ)))
"""


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """A key that the environment names, as a user sets it."""
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    found = new(tmp_path / "keys", "secret-of-mine")
    monkeypatch.setenv("LECTERN_TRAIN_SIGNING_KEY", str(found.private))
    return found


@pytest.fixture
def notebook(write_notebook: WriteNotebook) -> Path:
    return write_notebook("factor: float = 2.0", PROBE, EXPORT)


def is_signed(artifact: Artifact, pair: Pair) -> bool:
    version = int(artifact.folder.name)
    said = Statement(model=artifact.manifest.model, version=version, manifest_sha256=artifact.manifest_sha256)
    return signing.check(artifact, said, read_trusted(pair.public))


def assert_untold(notebook: Path, store: Store, pair: Pair) -> None:
    """Neither the kernel nor anything that is kept knows where the key is, or what it is."""
    environment = json.loads((notebook.parent / "seen").read_text())
    assert "LECTERN_TRAIN_STAGE" in environment
    assert "LECTERN_TRAIN_SIGNING_KEY" not in environment
    secret = pair.private.read_text().splitlines()[1]
    kept = [path for path in store.root.rglob("*") if path.is_file()]
    assert any(path.name == SIGNATURE for path in kept)
    for content in [json.dumps(environment).encode(), *(path.read_bytes() for path in kept)]:
        assert pair.private.name.encode() not in content
        assert secret.encode() not in content


def test_a_run_signs_its_version(notebook: Path, store: Store, pair: Pair) -> None:
    trained = train(notebook, {}, store, TrainSettings.read(os.environ))
    artifact = store.artifact("line", trained.version)
    assert is_signed(artifact, pair)
    assert artifact.unlisted() == [SIGNATURE]
    assert_untold(notebook, store, pair)


def test_a_sweep_signs_its_best_run(notebook: Path, store: Store, pair: Pair) -> None:
    sets = [{"factor": 2.0}, {"factor": 5.0}]
    swept = sweep(Planner(notebook), sets, store, TrainSettings.read(os.environ), Where(2), Leaderboard("r2"))
    assert swept.best == ("line", 1)
    assert is_signed(store.artifact("line"), pair)
    assert_untold(notebook, store, pair)


def test_an_export_in_a_notebook_signs_as_well(store: Store, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_STORE", str(store.root))
    export(RIDGE, "weight", FLOWERS, np.asarray(WEIGHT))
    assert is_signed(store.artifact("weight"), pair)


def test_a_key_that_cannot_sign_is_refused_before_anything_runs(
    notebook: Path, store: Store, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.private.write_text("no key")
    says = r"secret-of-mine\.key holds no private key that can be read: give a PEM file without a password\.$"
    settings = TrainSettings.read(os.environ)
    with pytest.raises(KeyRefused, match=says):
        train(notebook, {}, store, settings)
    with pytest.raises(KeyRefused, match=says):
        sweep(Planner(notebook), [{"factor": 2.0}], store, settings, Where(1), Leaderboard("r2"))
    monkeypatch.setenv("LECTERN_STORE", str(store.root))
    with pytest.raises(KeyRefused, match=says):
        export(RIDGE, "weight", FLOWERS, np.asarray(WEIGHT))
    assert not store.root.exists()
    assert not (notebook.parent / "seen").exists()
