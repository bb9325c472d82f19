"""Loading: from a folder to a predictor that may take traffic. All that stands between the two is in one function."""

from __future__ import annotations

from dataclasses import dataclass

from contract import golden
from contract.artifact import Artifact
from contract.child import Child
from contract.errors import ManifestInvalid
from contract.formats import FORMATS
from contract.manifest import Manifest
from serving.predictors import InChild, InProcess, Predictor
from serving.schemas import RequestSchema
from serving.settings import ServeSettings


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A version that answers requests."""

    version: int
    manifest: Manifest
    schema: RequestSchema
    predictor: Predictor

    @property
    def model(self) -> str:
        """The model's name."""
        return self.manifest.model


def load(model: str, version: int, artifact: Artifact, settings: ServeSettings) -> Served:
    """Verify an artifact, load its model and have it reproduce its golden rows.

    Raises:
        ArtifactError: it must not be served.
    """
    manifest = artifact.manifest
    if manifest.model != model:
        raise ManifestInvalid(f"The manifest is of a model '{manifest.model}', not of '{model}'.")
    artifact.verify()
    kind, rows = FORMATS[manifest.runtime.format], artifact.read(golden.GOLDEN)

    def start() -> Child:
        return Child(
            artifact,
            manifest.runtime.format,
            load_timeout_s=settings.load_timeout_s,
            answer_timeout_s=settings.predict_timeout_s,
        )

    if kind.runs_code:
        child = start()
        try:
            golden.reproduce(child, rows, manifest.signature, kind.tolerance)
        except BaseException:
            child.close()
            raise
        predictor: Predictor = InChild(child, start)
    else:
        loaded = kind.load(artifact.read(kind.file), manifest)
        golden.reproduce(loaded, rows, manifest.signature, kind.tolerance)
        predictor = InProcess(loaded, golden.read(rows)[0], settings.predict_timeout_s)
    return Served(version, manifest, RequestSchema(manifest.signature, settings.max_rows), predictor)
