"""Keys to sign and to check with, and stores whose versions are signed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract import keys
from contract.artifact import Artifact
from contract.signing import SIGNATURE, SignedStatement, Signer, Statement
from contract.store import Store


def signer(folder: Path, name: str = "signing") -> Signer:
    """A signer with a new key, whose files are in `folder`."""
    return Signer.read(keys.new(folder, name).private)


def sign_again(artifact: Artifact, by: Signer, **changes: Any) -> None:
    """Put another signature beside a manifest, which says what is true of it but for the `changes`."""
    model, version = artifact.manifest.model, int(artifact.folder.name)
    true = Statement(model=model, version=version, manifest_sha256=artifact.manifest_sha256)
    (artifact.folder / SIGNATURE).write_bytes(by.sign(true.model_copy(update=changes)))


def signature_of(artifact: Artifact) -> SignedStatement:
    """What lies beside a manifest."""
    return SignedStatement.model_validate_json((artifact.folder / SIGNATURE).read_bytes())


def replay(store: Store, model: str, version: int, number: int, without: Sequence[str] = ()) -> Artifact:
    """Put a copy of a version in the place of another number, all at once."""
    hidden, place = store.root / ".copied", store.root / model / str(number)
    shutil.copytree(store.root / model / str(version), hidden, ignore=shutil.ignore_patterns(*without))
    return Artifact(hidden.rename(place))
