"""Loading: from a folder to a predictor that may take traffic. All that stands between the two is in one function."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from contract import golden, trust, trying
from contract.answers import Answers
from contract.artifact import Artifact
from contract.child import Child
from contract.compatibility import differences
from contract.errors import EnvironmentMismatch, ManifestInvalid, PredictionError, SelfTestFailed
from contract.formats import FORMATS, onnx
from contract.formats.graph import Graph
from contract.manifest import Manifest
from contract.signature import Signature
from serving.cores import usable_cores
from serving.metrics import Counts
from serving.narrowing import held
from serving.predictor import Bounds, Predictor
from serving.predictors import InChild, InProcess
from serving.quick import Quick, quick
from serving.replies import ReplySchema
from serving.requests import RequestSchema
from serving.rounding import Rounding
from serving.settings import ServeSettings
from serving.vitals import Vitals


@dataclass(slots=True, eq=False)
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
    """Answers the usual request, until the version is let go of; see `serving.quick`."""
    warnings: tuple[str, ...] = ()
    """What an operator should know of it, a sentence each."""
    headers: list[tuple[bytes, bytes]] = field(init=False)
    """What every answer of it carries."""
    head: bytes = field(init=False)
    """The same as it is sent."""

    def __post_init__(self) -> None:
        """Prepare what does not change."""
        self.headers = [
            (b"lectern-model", self.model.encode()),
            (b"lectern-version", b"%d" % self.version),
            (b"x-content-type-options", b"nosniff"),
        ]
        self.head = b"".join(b"%b: %b\r\n" % header for header in self.headers)

    def retire(self) -> None:
        """Let go of the model once no request uses it, whoever still asks about the version. On the event loop."""
        self.quick = None
        self.predictor.retire()

    @property
    def model(self) -> str:
        """The model's name."""
        return self.manifest.model

    @property
    def trouble(self) -> str:
        """What is wrong with it since it began to answer, as a sentence; empty where nothing is."""
        return self.predictor.vitals.trouble

    @property
    def size_bytes(self) -> int:
        """The size of its model's file."""
        return self.manifest.files[FORMATS[self.manifest.runtime.format].file].size


def load(
    model: str,
    version: int,
    artifact: Artifact,
    settings: ServeSettings,
    counts: Counts | None = None,
    *,
    tried: bool = False,
) -> Served:
    """Verify an artifact, load its model and have it reproduce its golden rows.

    What runs inside this process was tried in another one first; who knows that this very manifest was `tried` before
    saves the second interpreter. What runs in a child is tried in the child that will answer.

    Raises:
        ArtifactError: it must not be served.
    """
    counts = Counts() if counts is None else counts
    warnings = admit(model, version, artifact, settings)
    manifest, limits = artifact.manifest, settings.limits
    schema = RequestSchema(held(manifest, settings.unseen), settings.max_rows, settings.max_text_chars)
    format_name = manifest.runtime.format
    kind = FORMATS[format_name]
    sensitive = [field.name for field in manifest.signature.inputs if field.sensitive]
    vitals = Vitals(f"version {version} of '{model}'", sensitive, counts.batches)
    bounds = Bounds(settings.predict_timeout_s, settings.queue_requests, settings.slots)

    fast: Quick | None = None
    if kind.runs_code:
        child, example = trying.start(artifact, format_name, limits, settings.shared_folder)
        start = partial(Child, artifact, format_name, limits, warm=True, shared=settings.shared_folder)
        try:
            replies = _replies(manifest.signature, example, Rounding.of(settings))
        except BaseException:
            child.close()
            raise
        predictor: Predictor = InChild(child, start, bounds, vitals)
    else:
        if not tried:
            trying.start(artifact, format_name, limits)[0].close()
        content, rows = artifact.read(kind.file), artifact.read(golden.GOLDEN)
        sample = golden.read(rows)[0]
        loaded = kind.load(content, manifest)
        example = golden.prove(loaded, rows, manifest.signature, kind.tolerance)
        replies = _replies(manifest.signature, example, Rounding.of(settings))
        predictor = InProcess(loaded, sample, bounds, vitals)
        threads = usable_cores() // settings.workers
        if isinstance(loaded, Graph) and not predictor.cheap and threads > 1:  # what takes long may use more cores
            loaded = onnx.load(content, manifest, threads)
            golden.prove(loaded, rows, manifest.signature, kind.tolerance)
            predictor = InProcess(loaded, sample, bounds, vitals)
        if isinstance(loaded, Graph) and loaded.one and predictor.cheap:
            fast = quick(loaded.one, schema, replies, {"model": model, "version": version})
    counts.loads += 1
    return Served(
        version,
        manifest,
        schema,
        replies,
        predictor,
        replies.documents(example)[0],
        counts,
        fast,
        warnings,
    )


def admit(model: str, version: int, artifact: Artifact, settings: ServeSettings) -> tuple[str, ...]:
    """Hold an artifact to all that is asked of it before its model is loaded; return what an operator should know.

    Raises:
        ArtifactError: it must not be served.
    """
    manifest = artifact.manifest
    if manifest.model != model:
        raise ManifestInvalid(f"The manifest is of a model '{manifest.model}', not of '{model}'.")
    settings.limits.admit(manifest)
    artifact.verify()
    known = trust.check(artifact, model, version, settings)
    warnings = differences(manifest)
    if warnings and settings.environment == "refuse":
        raise EnvironmentMismatch(f"{' '.join(warnings)} LECTERN_ENVIRONMENT=warn serves it all the same.")
    return known + warnings


def _replies(signature: Signature, example: Answers, rounding: Rounding | None) -> ReplySchema:
    """How a version replies, which has the form of its answers to the example row."""
    try:
        replies = ReplySchema(signature.output, example, rounding)
        replies.documents(example)
    except PredictionError as error:
        raise SelfTestFailed(f"The model could not answer its example row: {error}") from error
    return replies
