"""Loading: from a folder to a predictor that may take traffic. All that stands between the two is in one function."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from contract import golden
from contract.artifact import Artifact
from contract.child import Child
from contract.errors import ManifestInvalid, PredictionError, SelfTestFailed
from contract.formats import FORMATS, onnx
from contract.formats.graph import Graph
from contract.golden import Model
from contract.manifest import Manifest
from contract.signature import Signature
from serving.metrics import Counts
from serving.predictors import InChild, InProcess, Predictor
from serving.quick import Quick, quick
from serving.replies import ReplySchema
from serving.requests import RequestSchema
from serving.settings import ServeSettings


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A version that answers requests."""

    version: int
    manifest: Manifest
    schema: RequestSchema
    replies: ReplySchema
    predictor: Predictor
    example: dict[str, Any]
    """What it answers for the signature's example row."""
    counts: Counts
    """What is counted of its requests."""
    quick: Quick | None = None
    """Answers the usual request; see `serving.quick`."""
    headers: list[tuple[bytes, bytes]] = field(init=False)
    """What every answer of it carries."""

    def __post_init__(self) -> None:
        """Prepare what does not change."""
        headers = [(b"lectern-model", self.model.encode()), (b"lectern-version", b"%d" % self.version)]
        object.__setattr__(self, "headers", headers)

    @property
    def model(self) -> str:
        """The model's name."""
        return self.manifest.model

    @property
    def size_bytes(self) -> int:
        """The size of its model's file."""
        return self.manifest.files[FORMATS[self.manifest.runtime.format].file].size


def load(model: str, version: int, artifact: Artifact, settings: ServeSettings, counts: Counts | None = None) -> Served:
    """Verify an artifact, load its model and have it reproduce its golden rows.

    Raises:
        ArtifactError: it must not be served.
    """
    manifest = artifact.manifest
    if manifest.model != model:
        raise ManifestInvalid(f"The manifest is of a model '{manifest.model}', not of '{model}'.")
    artifact.verify()
    schema = RequestSchema(manifest.signature, settings.max_rows)
    kind, rows = FORMATS[manifest.runtime.format], artifact.read(golden.GOLDEN)

    def start() -> Child:
        return Child(
            artifact,
            manifest.runtime.format,
            load_timeout_s=settings.load_timeout_s,
            answer_timeout_s=settings.predict_timeout_s,
            warm=True,
            shared=settings.shared_folder,
        )

    fast: Quick | None = None
    if kind.runs_code:
        child = start()
        try:
            replies, example = _prove(child, manifest.signature, rows, kind.tolerance)
        except BaseException:
            child.close()
            raise
        predictor: Predictor = InChild(child, start, settings.predict_timeout_s)
    else:
        content, sample = artifact.read(kind.file), golden.read(rows)[0]
        loaded = kind.load(content, manifest)
        replies, example = _prove(loaded, manifest.signature, rows, kind.tolerance)
        predictor = InProcess(loaded, sample, settings.predict_timeout_s)
        threads = (os.cpu_count() or 1) // settings.workers
        if isinstance(loaded, Graph) and not predictor.cheap and threads > 1:  # what takes long may use more cores
            loaded = onnx.load(content, manifest, threads)
            _prove(loaded, manifest.signature, rows, kind.tolerance)
            predictor = InProcess(loaded, sample, settings.predict_timeout_s)
        if isinstance(loaded, Graph) and loaded.one and predictor.cheap:
            fast = quick(loaded.one, schema, replies, {"model": model, "version": version})
    return Served(version, manifest, schema, replies, predictor, example, Counts() if counts is None else counts, fast)


def _prove(model: Model, signature: Signature, rows: bytes, tolerance: float) -> tuple[ReplySchema, dict[str, Any]]:
    """Have a loaded model reproduce its golden rows; return how it replies, and to the example row."""
    golden.reproduce(model, rows, signature, tolerance)
    try:
        answers = model.answer({name: [value] for name, value in signature.example.items()})
        replies = ReplySchema(signature.output, answers)
        return replies, replies.documents(answers)[0]
    except PredictionError as error:
        raise SelfTestFailed(f"The model could not answer its example row: {error}") from error
