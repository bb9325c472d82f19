"""Signing: a statement that a version of a model is this manifest, in `manifest.sig` beside the manifest.

publish: the store claims a number → statement → signature. load: made with a trusted key? → of this version? Model and
version are in what is signed, so no artifact can take the place of another one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from contract import keys
from contract.artifact import Artifact
from contract.errors import KeyUnknown, ManifestMismatch, SignatureInvalid
from contract.keys import TrustedKey
from contract.manifest import Sha256
from contract.signature import Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE = "manifest.sig"
_MAX_BYTES = 1 << 14
_PURPOSE = b"lectern artifact 1\n"
"""Before all that is signed, so that nothing signed for another purpose is taken for a statement."""


class Statement(Record):
    """What is signed."""

    model: str
    version: Annotated[int, Field(ge=1)]
    manifest_sha256: Sha256

    def to_bytes(self) -> bytes:
        """The same statement is always the same bytes."""
        return _PURPOSE + json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":")).encode()


class SignedStatement(Record):
    """The file: a statement, the id of the key, and what only the key's private half can make of the statement."""

    key: str
    statement: Statement
    signature: str
    """64 bytes in base64."""


class Signer:
    """Signs what is published, with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = keys.key_id(key.public_key())

    @classmethod
    def read(cls, path: Path) -> Signer:
        """The signer with the private key in a file.

        Raises:
            KeyRefused: there is none, or not one that signs artifacts.
        """
        return cls(keys.read_private(path))

    def sign(self, statement: Statement) -> bytes:
        """The content of the file that says it."""
        signature = base64.b64encode(self._key.sign(statement.to_bytes())).decode()
        found = SignedStatement(key=self.key_id, statement=statement, signature=signature)
        return found.model_dump_json(indent=1).encode() + b"\n"


def check(artifact: Artifact, expected: Statement, trusted: Mapping[str, TrustedKey]) -> bool:
    """Whether a trusted key has signed what is `expected` of an artifact; False where nobody signed anything.

    Raises:
        KeyUnknown: it is signed with a key that is not `trusted`.
        SignatureInvalid: the signature is wrong, or of another manifest.
        ManifestMismatch: it is right, and of another version or another model.
        NotRegularFile: it is a link, or no file.
        OSError: the file system failed; another time it may not.
    """
    from cryptography.exceptions import InvalidSignature

    document = artifact.beside(SIGNATURE, _MAX_BYTES)
    if document is None:
        return False
    try:
        found = SignedStatement.model_validate_json(document)
        signature = base64.b64decode(found.signature, validate=True)
    except ValueError:
        raise SignatureInvalid(f"{SIGNATURE} is no signature.") from None
    key = trusted.get(found.key)
    if key is None or key.kind != "ed25519":
        raise KeyUnknown(f"{SIGNATURE} is by the key {found.key[:40]!r}, which is not trusted here.")
    try:
        key.public.verify(signature, found.statement.to_bytes())
    except InvalidSignature:
        raise SignatureInvalid(f"{SIGNATURE} was not made with the key {key.id}, or was changed since.") from None
    said = found.statement
    if (said.model, said.version) != (expected.model, expected.version):
        raise ManifestMismatch(
            f"{SIGNATURE} is of version {said.version} of '{said.model}', "
            f"and this is version {expected.version} of '{expected.model}'."
        )
    if said != expected:
        raise SignatureInvalid(f"The manifest is not the one that was signed: its SHA-256 is not that in {SIGNATURE}.")
    return True
