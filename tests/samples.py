"""Small whole things to test with: a signature, a manifest, a sealed stage, a version."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract.artifact import Artifact
from contract.manifest import Manifest, Run, Runtime
from contract.signature import Field, Output, Signature
from contract.staging import Stage
from contract.store import Store

FILES = {"model.joblib": b"\x80 no pickle", "golden.json": b"{}", "notebook.ipynb": bytes(range(256)) * 64}

REGRESSION = Signature(
    container="array",
    inputs=(Field(name="x0", type="float", dtype="float64"), Field(name="x1", type="float", dtype="float64")),
    output=Output(task="regression"),
)
"""Two numbers in, one number out."""


def manifest(**changes: Any) -> Manifest:
    """A manifest that names no file yet."""
    given: dict[str, Any] = {
        "model": "iris",
        "created": datetime(2026, 11, 21, 12, tzinfo=UTC),
        "signature": REGRESSION,
        "runtime": Runtime(format="joblib"),
        "run": Run(kind="interactive"),
    }
    return Manifest(**given | changes)


def sealed(store: Store, files: Mapping[str, bytes] = FILES, **changes: Any) -> Stage:
    """A stage of these files, ready to be published."""
    stage = store.stage()
    for name, content in files.items():
        stage.path(name).write_bytes(content)
    stage.seal(manifest(**changes))
    return stage


def artifact(folder: Path, files: Mapping[str, bytes] = FILES, **changes: Any) -> Artifact:
    """A version in a store of its own."""
    store = Store(folder / "store")
    return store.artifact("iris", store.publish(sealed(store, files, **changes)))
