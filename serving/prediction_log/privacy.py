"""Privacy: what the log may know of inputs, callers and subjects. What it hashes it hashes with a secret key.

Without the key nobody can try out which input, or whose name, a hash stands for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal

from contract.errors import LogUnavailable
from serving.access.caller import Caller
from serving.prediction_log.place import Place

Policy = Literal["none", "hash", "full"]

_LEAST_BYTES = 16
_DIGEST_BYTES = 16


class Privacy:
    """The policy, and the hashes of one key."""

    def __init__(self, policy: Policy, key: bytes) -> None:
        self.policy: Policy = policy
        self._key = key
        self.caller = lru_cache(maxsize=1024)(self._caller)

    def rows(self, names: bytes) -> Callable[[bytes], str]:
        """What makes of the values of a row, in the order of these names, what stands for the row."""
        begun = self._begun(b"row")
        begun.update(names)

        def hashed(values: bytes) -> str:
            found = begun.copy()
            found.update(values)
            return found.hexdigest()

        return hashed

    def subject(self, name: bytes) -> str:
        """What stands for the person or thing that a request was about, by the bytes of its name."""
        return self._hash(name, b"subject")

    def name(self, caller: Caller) -> str | None:
        """What is kept of who asks: a key's name, which an operator gave it; a token's subject may be a person."""
        if self.policy == "none":
            return None
        return self.caller(caller.name) if caller.personal else caller.name

    def _caller(self, address: str) -> str | None:
        """What is kept of the address that a request came from."""
        kept = {"none": None, "hash": self._hash(address.encode(), b"caller"), "full": address}
        return kept[self.policy]

    def _hash(self, content: bytes, person: bytes) -> str:
        found = self._begun(person)
        found.update(content)
        return found.hexdigest()

    def _begun(self, person: bytes) -> hashlib.blake2b:
        return hashlib.blake2b(key=self._key, person=person, digest_size=_DIGEST_BYTES)


def read_key(place: Place, *, make: bool) -> bytes:
    """The key of a log, which is made where it may be and is not there yet.

    Raises:
        LogUnavailable: there is none, and none can be made, or the file holds none.
    """
    path = place.key
    try:
        if make and place.makes_key and not path.exists():
            place.make(path.parent)
            _make(path)
        content = path.read_bytes().strip()
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise LogUnavailable(f"There is no folder {path.parent.parent} any more, or not yet.") from None
        raise LogUnavailable(f"There is no key at {path}, without which the log can hash nothing.") from None
    except OSError as error:
        raise LogUnavailable(f"The key {path} cannot be read or made: {error.strerror}.") from None
    if len(content) < _LEAST_BYTES:
        raise LogUnavailable(f"{path} holds no key: {len(content)} bytes, of at least {_LEAST_BYTES} that are secret.")
    return hashlib.blake2b(content, digest_size=32).digest()


def _make(path: Path) -> None:
    """Make a key, whole from the moment it is seen; of two who do so at once one does."""
    beside = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink()
