"""The manifest: the JSON document that describes an artifact, and the only way to read one.

Written last when an artifact is staged, read first when one is loaded.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, JsonValue, ValidationError

from contract.errors import ChecksumMismatch, ManifestInvalid
from contract.signature import Record, Signature

MANIFEST = "manifest.json"
FORMAT_NUMBER = 1
MAX_BYTES = 1 << 20
_END = b"\n}\n"
_TAIL = b',\n "sha256": "%s"' + _END
_SEAL = re.compile(_TAIL % b"[0-9a-f]{64}")
_TAIL_BYTES = len(_TAIL % (b"0" * 64))

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class File(Record):
    """One file of the artifact."""

    size: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Onnx(Record):
    """How an ONNX file takes the rows: as one matrix of `dtype`, or as one column per field with numbers in `dtype`."""

    layout: Literal["matrix", "columns"]
    dtype: Literal["float32", "float64"]
    max_difference: float
    """The largest difference from the fitted object that the comparison saw."""


class Runtime(Record):
    """Which file answers, and why not ONNX where it does not."""

    format: Literal["onnx", "joblib"]
    onnx: Onnx | None = None
    reason: str = ""


Status = Literal[
    "completed", "failed", "exited", "timeout", "flooded", "kernel_died", "start_failed", "not_exported", "runner_died"
]
"""How a run ended; only one that completed can be a version."""


Policy = Literal["if-better", "always", "never"]
"""When a new version is promoted: if the gate finds it not worse than the champion, in any case, or not by itself."""


class Run(Record):
    """How the artifact came to be."""

    kind: Literal["interactive", "papermill"]
    notebook: str = ""
    duration_s: float | None = None
    id: str = ""
    """The name of the run, unique in its store."""
    started: Annotated[AwareDatetime, Field(strict=False)] | None = None
    digest: str = ""
    """SHA-256 over all that the run depends on; two runs that share it did the same."""
    sweep: str = ""
    """The sweep that the run was part of."""
    promote: Policy | None = None
    """What the notebook asked for; None leaves it to who runs it."""


class Manifest(Record):
    """All that a reader needs to know before it opens any other file."""

    manifest_format: Literal[1] = 1
    model: str
    created: Annotated[AwareDatetime, Field(strict=False)]
    description: str = ""
    signature: Signature
    runtime: Runtime
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)
    """Version of Python and of each package the fitted object came from."""
    run: Run
    files: dict[FileName, File] = Field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The document as it is stored."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def sealed(document: bytes) -> bytes:
    """A document with its own SHA-256 as the last key, which is how it lies in the artifact."""
    head = document.removesuffix(_END)
    return head + _TAIL % hashlib.sha256(head).hexdigest().encode()


def opened(stored: bytes) -> bytes:
    """The document that was sealed. Nothing of it is parsed before it is known to be the one that was published.

    Raises:
        ManifestInvalid: it has no seal at its end.
        ChecksumMismatch: it is not what was sealed.
    """
    head, tail = stored[:-_TAIL_BYTES], stored[-_TAIL_BYTES:]
    if tail == _TAIL % hashlib.sha256(head).hexdigest().encode():
        return head + _END
    if _SEAL.fullmatch(tail):
        raise ChecksumMismatch("The manifest is not the one that was published: the SHA-256 at its end is another.")
    raise ManifestInvalid("The manifest does not end with its SHA-256: it was cut off, or somebody else wrote it.")


def parse(document: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ManifestInvalid: it is too large, not JSON, says a thing twice, or does not fit the format number.
    """
    if len(document) > MAX_BYTES:
        raise ManifestInvalid(f"The manifest has {len(document):,} bytes; {MAX_BYTES:,} are allowed.")
    try:
        found = json.loads(
            document.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_finite, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"The manifest is not sound JSON: {str(error)[:200]}.") from None
    if not isinstance(found, dict):
        raise ManifestInvalid(f"The manifest is a JSON {type(found).__name__}, not an object.")
    if found.get("manifest_format") != FORMAT_NUMBER:
        number = repr(found.get("manifest_format"))[:20]
        raise ManifestInvalid(f"The manifest has format number {number}; this Lectern reads {FORMAT_NUMBER}.")
    try:
        return Manifest.model_validate_json(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise ManifestInvalid(f"The manifest is wrong at {place!r}: {first['msg'][:200]}.") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:60]!r} stands twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number
