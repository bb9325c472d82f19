"""Keys: the files that sign artifacts, and those that tell whose signatures are believed.

`new` writes a pair: the private key stays where versions are made, the public one goes to every server. A key's id is
the beginning of the SHA-256 of its public half.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from contract.errors import KeyRefused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRIVATE, PUBLIC = ".key", ".pub"
TRUSTED = (PUBLIC, ".pem")
"""How the names of the files end that are read in a folder of trusted keys."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_ID_CHARACTERS = 16
_MAX_BYTES = 1 << 16

Kind = Literal["ed25519", "elliptic-curve"]
"""What a public key checks: signatures of Lectern, or OpenSSF bundles."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two files of a new key."""

    private: Path
    public: Path
    id: str


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key whose signatures are believed."""

    path: Path
    kind: Kind
    id: str
    named: str
    """What a signature calls it: its id, or for OpenSSF bundles the SHA-256 of the PEM text."""
    public: Any
    """The key of the package cryptography."""


def new(folder: Path, name: str) -> Pair:
    """Write a pair of Ed25519 keys, the private one readable by its owner only.

    Raises:
        KeyRefused: it cannot be called that, is there already, or the folder cannot be written to.
    """
    _need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if not _NAME.fullmatch(name):
        raise KeyRefused(f"No key can be called '{name[:80]}': give up to 64 letters, digits, '.', '_' and '-'.")
    key = Ed25519PrivateKey.generate()
    pair = Pair(folder / f"{name}{PRIVATE}", folder / f"{name}{PUBLIC}", key_id(key.public_key()))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if pair.public.exists():  # its private half is elsewhere, and versions are signed with it
            raise FileExistsError
        _write(pair.private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
        _write(pair.public, _encoded(key.public_key(), "PEM"), 0o644)
    except FileExistsError:
        raise KeyRefused(f"{folder} has a key '{name}' already, and none is overwritten: take another name.") from None
    except OSError as error:
        raise KeyRefused(f"Cannot write a key to {folder}: {error.strerror}.") from None
    return pair


def read_private(path: Path) -> Ed25519PrivateKey:
    """The private key in a file.

    Raises:
        KeyRefused: there is none, or not one that signs artifacts.
    """
    _need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read(path)
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: a password is missing
        raise KeyRefused(f"{path} holds no private key that can be read: give a PEM file without a password.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused(f"{path} holds no Ed25519 key; `lectern signing new` makes one.")
    return key


def read_trusted(path: Path) -> dict[str, TrustedKey]:
    """The public key in a file, or those in a folder, by what a signature calls them.

    Raises:
        KeyRefused: there is none, or a file holds something else.
    """
    _need_cryptography()
    try:
        files = sorted(filter(_is_public, path.iterdir())) if path.is_dir() else [path]
    except OSError as error:
        raise KeyRefused(f"The keys in {path} cannot be read: {error.strerror}.") from None
    if not files:
        raise KeyRefused(f"{path} holds no public key: put files *{' or *'.join(TRUSTED)} there.")
    return {key.named: key for key in map(_trusted, files)}


def private_of(key: TrustedKey) -> Path:
    """Where the private half lies, if it lies beside the public one."""
    return key.path.with_suffix(PRIVATE)


def key_id(public: Any) -> str:
    """What a key is called."""
    return hashlib.sha256(_encoded(public, "DER")).hexdigest()[:_ID_CHARACTERS]


def _is_public(path: Path) -> bool:
    return path.suffix in TRUSTED and not path.name.startswith(".") and path.is_file()


def _trusted(path: Path) -> TrustedKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _read(path)
    if b"PRIVATE KEY" in content:
        raise KeyRefused(f"{path} is a private key; only public ones belong among the trusted keys.")
    try:
        public = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRefused(f"{path} holds no public key: give a PEM file, as `lectern signing new` writes.") from None
    found = key_id(public)
    if isinstance(public, Ed25519PublicKey):
        return TrustedKey(path, "ed25519", found, found, public)
    if not isinstance(public, EllipticCurvePublicKey) or public.curve.name not in _CURVES:
        raise KeyRefused(f"{path} signs no artifact: give an Ed25519 key, or for bundles one of {', '.join(_CURVES)}.")
    if find_spec("model_signing") is None:
        raise KeyRefused(f"{path} is a key for OpenSSF bundles; checking them needs: pip install 'lectern[openssf]'.")
    return TrustedKey(path, "elliptic-curve", found, hashlib.sha256(_encoded(public, "PEM")).hexdigest(), public)


def _need_cryptography() -> None:
    if find_spec("cryptography") is None:
        raise KeyRefused("Signatures need the package cryptography: pip install 'lectern[signing]'.")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise KeyRefused(f"The key {path} cannot be read: {error.strerror}.") from None


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _encoded(public: Any, encoding: Literal["DER", "PEM"]) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    content: bytes = public.public_bytes(getattr(Encoding, encoding), PublicFormat.SubjectPublicKeyInfo)
    return content
