"""The catalogue: what is served, and where it came from, as documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from contract.artifact import Artifact
from contract.compatibility import differences
from contract.errors import ArtifactError, VersionNotFound
from contract.manifest import MANIFEST, Manifest, Run, Runtime
from contract.names import parse_version
from contract.signature import Signature
from serving.registry import Registry
from serving.snapshot import Condition, ModelState

MOST_VERSIONS = 100
"""Of so many versions the manifests are read for one request."""


class FailedVersion(BaseModel):
    """A version that is not served, and why."""

    version: int
    code: str
    reason: str


class ModelDocument(BaseModel):
    """One model."""

    model: str
    state: Condition
    champion: int | None = Field(description="the version that answers")
    versions: list[int]
    failed: list[FailedVersion]
    warnings: list[str] = Field([], description="what an operator should know of the version that answers")
    description: str = ""
    metrics: dict[str, float] = {}
    aliases: dict[str, int] = Field(description="the version that answers for each name")
    challenger: float = Field(description="percent of the requests that the challenger answers")
    predict: str = Field(description="where to send rows")


class VersionSummary(BaseModel):
    """One version among others."""

    version: int
    created: datetime | None = Field(None, description="unknown where the manifest cannot be read")
    description: str = ""
    metrics: dict[str, float] = {}
    aliases: list[str] = Field([], description="the names under which it answers")
    failed: FailedVersion | None = None


class VersionDocument(BaseModel):
    """One version."""

    model: str
    version: int
    created: datetime
    description: str
    metrics: dict[str, float]
    parameters: dict[str, Any]
    environment: dict[str, str]
    warnings: list[str] = Field(description="how this environment differs from the one it was fitted in")
    run: Run
    runtime: Runtime
    files: list[str]
    signature: Signature


def model_document(name: str, state: ModelState) -> ModelDocument:
    """One model at one moment."""
    champion = state.champion
    return ModelDocument(
        model=name,
        state=state.condition,
        champion=champion.version if champion else None,
        versions=list(state.versions),
        failed=list(_failed(state)),
        warnings=[*champion.warnings, *filter(None, [champion.trouble])] if champion else [],
        description=champion.manifest.description if champion else "",
        metrics=champion.manifest.metrics if champion else {},
        aliases=_aliases(state),
        challenger=state.deployment.share if state.split else 0.0,
        predict=f"/models/{name}/predict",
    )


def version_document(manifest: Manifest, number: int) -> VersionDocument:
    """One version, as its manifest says."""
    return VersionDocument(
        version=number,
        files=sorted(manifest.files),
        warnings=list(differences(manifest)),
        **manifest.model_dump(exclude={"manifest_format", "files", "signature", "run", "runtime"}),
        signature=manifest.signature,
        run=manifest.run,
        runtime=manifest.runtime,
    )


def summaries(registry: Registry, model: str, before: int | None = None) -> list[VersionSummary]:
    """The versions of a model, the newest first: the last ones, or the last ones `before` a number.

    Raises:
        ModelNotFound: there is no such model.
    """
    state = registry.model(model)
    named = _named(state)
    failed = {failure.version: failure for failure in _failed(state)}
    wanted = [number for number in reversed(state.versions) if before is None or number < before]
    return [
        _summary(registry, model, number, named.get(number, []), failed.get(number))
        for number in wanted[:MOST_VERSIONS]
    ]


def artifact_of(registry: Registry, model: str, version: str) -> Artifact:
    """The artifact behind the name of a version in a path.

    Raises:
        ModelNotFound: there is no such model.
        VersionNotFound: it has no such version, or that is no name of one.
    """
    known: Sequence[int] = registry.model(model).versions
    number = parse_version(version)
    if number is None or number not in known:
        raise VersionNotFound(model, version[:20], known)
    return registry.store.artifact(model, number)


def _summary(
    registry: Registry, model: str, number: int, aliases: list[str], failed: FailedVersion | None
) -> VersionSummary:
    folder = registry.store.root / model / str(number)
    try:
        found = _read(folder, _changed(folder))
    except ArtifactError as error:  # damaged, or deleted meanwhile
        told = failed or FailedVersion(version=number, code=error.code, reason=str(error))
        return VersionSummary(version=number, aliases=aliases, failed=told)
    return VersionSummary(version=number, aliases=aliases, failed=failed, **found)


@lru_cache(maxsize=10 * MOST_VERSIONS)
def _read(folder: Path, _when: int) -> dict[str, Any]:
    """What a summary takes from a manifest. A page asks for a hundred of them twice a second."""
    return Artifact(folder).manifest.model_dump(include={"created", "description", "metrics"})


def _changed(folder: Path) -> int:
    """When the manifest was written (nanoseconds since the epoch); 0 where reading it will say what is wrong."""
    try:
        return (folder / MANIFEST).lstat().st_mtime_ns
    except OSError:
        return 0


def _failed(state: ModelState) -> Iterator[FailedVersion]:
    for number, failure in sorted(state.failures.items()):
        yield FailedVersion(version=number, code=failure.code, reason=failure.reason)


def _aliases(state: ModelState) -> dict[str, int]:
    return {alias: served.version for alias, served in sorted(state.answering.items())}


def _named(state: ModelState) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for alias, number in _aliases(state).items():
        found.setdefault(number, []).append(alias)
    return found
