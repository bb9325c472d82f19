"""Keys of callers, as requests look them up: by id, and by the SHA-256 of a secret.

`lk_<id>_<secret>` is shown once, when it is made. The secret has 256 random bits, so that no slow hash is needed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from hmac import compare_digest

from serving.access.caller import Rights

PREFIX = b"lk_"
ID_BYTES, SECRET_BYTES = 6, 32
_ID_AT = slice(len(PREFIX), len(PREFIX) + 2 * ID_BYTES)
_SECRET_AT = slice(_ID_AT.stop + 1, None)
_LENGTH = _SECRET_AT.start + 43
"""Of a key: 32 bytes are 43 letters of base64."""
_NOBODYS = bytes(32)
"""What the secret of an unknown key is compared with, so that it takes as long."""


@dataclass(frozen=True, slots=True)
class Known:
    """A key that is not revoked, as requests look it up."""

    name: str
    digest: bytes
    rights: Rights
    until: float
    """When it expires, in seconds since 1970."""


Keyring = dict[bytes, Known]
"""By id."""


def find(shown: bytes, known: Keyring, now: float) -> Known | None:
    """The key that was shown, if it is known and valid."""
    if len(shown) != _LENGTH:
        return None
    found = known.get(shown[_ID_AT])
    same = compare_digest(hashlib.sha256(shown[_SECRET_AT]).digest(), found.digest if found else _NOBODYS)
    return found if found and same and now < found.until else None
