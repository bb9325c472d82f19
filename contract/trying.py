"""Trying a version out: before anything relies on it, its file is loaded in a child process that has limits.

admitted by its manifest → verified → loaded in a child → golden rows reproduced, the example row answered
"""

from __future__ import annotations

from pathlib import Path

from contract import golden
from contract.answers import Answers
from contract.artifact import Artifact
from contract.child import Child
from contract.formats import FORMATS
from contract.limits import Limits


def try_out(artifact: Artifact, limits: Limits) -> None:
    """Find out whether a version loads and reproduces its golden rows; nothing of it is left in this process.

    Raises:
        ArtifactError: it must not be served.
        OSError: the file system failed; another time it may not.
    """
    limits.admit(artifact.manifest)
    artifact.verify()
    child, _ = start(artifact, artifact.manifest.runtime.format, limits, aside=True)
    child.close()


def start(
    artifact: Artifact, format_name: str, limits: Limits, shared: Path | None = None, *, aside: bool = False
) -> tuple[Child, Answers]:
    """A child that has loaded one file of an artifact and proved itself, and its answers to the example row.

    Raises:
        ArtifactError, OSError: as `try_out` does.
    """
    manifest, rows = artifact.manifest, artifact.read(golden.GOLDEN)
    warm = FORMATS[format_name].runs_code
    child = Child(artifact, format_name, limits, warm=warm, aside=aside, shared=shared)
    try:
        child.answer_timeout_s = limits.load_timeout_s
        example = golden.prove(child, rows, manifest.signature, FORMATS[format_name].tolerance)
        child.answer_timeout_s = limits.answer_timeout_s
    except BaseException:
        child.close()
        raise
    return child, example
