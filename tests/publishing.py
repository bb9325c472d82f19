"""Publishes that meet a fault at one system call.

Run by test_publish_faults.py as `python -m tests.publishing WAY FOLDER`; prints what came of each as JSON.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract.errors import ArtifactError, ExportRefused, PublishFailed
from contract.keys import TrustedKey
from contract.signing import Signer, Statement, check
from contract.store import Store
from tests.faults import Scenario, tell
from tests.samples import FILES, manifest

MODEL = "iris"
KEY = Ed25519PrivateKey.generate()
SIGNER = Signer(KEY)
TRUSTED = {SIGNER.key_id: TrustedKey(Path(), "ed25519", SIGNER.key_id, SIGNER.key_id, KEY.public_key())}


def publish(store: Store) -> str:
    """Stage, seal and publish as `export` does; return what is said of it."""
    try:
        stage = store.stage()
        try:
            for name, content in FILES.items():
                stage.path(name).write_bytes(content)
            stage.seal(manifest(model=MODEL))
        except BaseException:
            stage.discard()
            raise
        return f"published {store.publish(stage, SIGNER)}"
    except (PublishFailed, ExportRefused, OSError) as error:
        return f"{type(error).__name__}: {error}"


# --- what is found after a fault


@dataclass(frozen=True)
class Outcome:
    """One publish that met a fault, and what a reader and the next exporter then find."""

    fault: str
    said: str
    """What `publish` said; empty if it was killed."""
    before: list[int]
    versions: list[int]
    damage: list[str]
    left: list[str]
    """Hidden entries, and what is in those that are no stages."""
    following: str
    """What the next `publish` said."""


def examine(fault: str, said: str, before: list[int], store: Store) -> Outcome:
    """Look at a store after a fault, then publish to it once more."""
    versions, broken = store.versions(MODEL), damage(store)
    hidden = [path for path in store.root.glob("**/.*") if ".staging-" not in path.parent.name]
    inside = [path for folder in hidden if ".staging-" not in folder.name for path in folder.iterdir()]
    left = sorted(str(path.relative_to(store.root)) for path in (*hidden, *inside))
    following = publish(store)
    return Outcome(fault, said, before, versions, broken + damage(store), left, following)


def damage(store: Store) -> list[str]:
    """What is wrong with the versions that a reader sees."""
    found = []
    for version in store.versions(MODEL):
        artifact = store.artifact(MODEL, version)
        try:
            if {name: artifact.read(name) for name in artifact.manifest.files} != FILES:
                found.append(f"{version}: other files than were published")
            said = Statement(model=MODEL, version=version, manifest_sha256=artifact.manifest_sha256)
            if not check(artifact, said, TRUSTED):
                found.append(f"{version}: no signature")
        except (ArtifactError, OSError) as error:
            found.append(f"{version}: {error!r}")
    return found


def stores(folder: Path) -> list[tuple[list[int], Callable[[], Store]]]:
    """Makers of stores to publish to, and which versions they have: one that holds a version, one that is not there."""
    full = Store(folder / "full")
    publish(full)

    def missing() -> Store:
        return Store(Path(tempfile.mkdtemp(dir=folder)) / "store")

    def copied() -> Store:
        return Store(Path(shutil.copytree(full.root, missing().root)))

    return [([1], copied), ([], missing)]


PUBLISH = Scenario(publish, stores, examine)

if __name__ == "__main__":
    tell(PUBLISH, sys.argv[1], Path(sys.argv[2]))
