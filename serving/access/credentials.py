"""Credentials: what a request shows of who asks, before anybody knows whether it is worth anything."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable

MOST_BYTES = 8 << 10
"""Longest header that is looked at."""


def header_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The header by which a request shows who asks; None where there is not exactly one, or it is too long."""
    found = None
    for name, value in headers:
        if name == b"authorization":
            if found is not None:
                return None
            found = value
    return found if found is not None and len(found) <= MOST_BYTES else None


def credential_of(header: bytes) -> bytes | None:
    """The key or token in it, be it a bearer's or a browser's password; None where there is none."""
    scheme, _, rest = header.partition(b" ")
    read = _SCHEMES.get(scheme.lower())
    return (read(rest) if read else b"") or None


def _password(encoded: bytes) -> bytes:
    """The password of a user who may be called anything, as browsers send it."""
    try:
        return b64decode(encoded.strip(b" "), validate=True).partition(b":")[2]
    except ValueError:
        return b""


_SCHEMES = {b"bearer": lambda rest: rest.strip(b" "), b"basic": _password}
