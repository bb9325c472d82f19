"""The executed notebook of a version, over HTTP: a stranger's page, which runs no script and reaches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from contract.artifact import Artifact
from serving.negotiation import prefers
from serving.problems import Problem

NOTEBOOK, REPORT = "notebook.ipynb", "report.html"
MEDIA_TYPE = "application/x-ipynb+json"
MOST_BYTES = 16 << 20
"""Of a larger report the beginning is shown; the file has all of it."""
_SANDBOX = {
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "referrer-policy": "no-referrer",
    "vary": "accept",
}
_NOTICE = (
    b'<!doctype html><p style="margin:2em;font:bold 1.1em sans-serif">'
    b"This notebook is large: only its beginning is shown here; its file has all of it.</p>\n"
)
"""Stands before a report that was cut: at its end anything may be open."""


def executed(request: Request, artifact: Artifact, model: str, version: str, *, as_file: bool = False) -> Response:
    """The notebook that made a version: its report, or the file itself for whoever asks for it or prefers it.

    Raises:
        Problem: it was exported by hand.
        ChecksumMismatch, NotRegularFile, OSError: it is not what was published, or cannot be read.
    """
    if REPORT not in artifact.manifest.files:
        raise Problem(404, "no_notebook", f"Version {version} of '{model}' was exported by hand; no run was recorded.")
    if as_file or prefers(request.headers.get("accept", ""), MEDIA_TYPE, "text/html"):
        attachment = {"content-disposition": f'attachment; filename="{model}-{version}.ipynb"'}
        return StreamingResponse(_begun(artifact.pieces(NOTEBOOK)), 200, attachment | _SANDBOX, MEDIA_TYPE)
    return stranger(artifact.beginning(REPORT, MOST_BYTES + 1) if is_cut(artifact) else artifact.read(REPORT))


def stranger(content: bytes) -> Response:
    """A page that may have been written by anybody; of more than `MOST_BYTES` the beginning."""
    if len(content) > MOST_BYTES:
        content = _NOTICE + content[:MOST_BYTES]
    return Response(content, 200, _SANDBOX, "text/html")


def is_cut(artifact: Artifact) -> bool:
    """Whether the report is too large to be shown as a whole."""
    return REPORT in artifact.manifest.files and artifact.manifest.files[REPORT].size > MOST_BYTES


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces; what is wrong with the first one, or with a file that has no other, is raised at once."""
    begun = [next(pieces, b""), next(pieces, b"")]
    return chain(begun, pieces)
