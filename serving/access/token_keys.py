"""Token keys: what the tokens of callers are checked with, and by which algorithm; never one that a token names.

One family is believed: either a secret that both sides have (HS256), or public keys, in a PEM file or a JWKS document.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.errors import AccessRefused

LEAST_SECRET_BYTES = 32
"""As HS256 needs (RFC 7518, 3.2)."""
LEAST_RSA_BITS = 2048
MOST_KEYS = 16
"""More than any issuer has; a token that names none is tried with each."""
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key, and the one algorithm that it is for."""

    algorithm: str
    key: Any
    """The bytes of the secret, or the public key of the package cryptography."""
    id: str | None = None
    """What tokens call it, where the document says that."""


TokenKeys = tuple[TokenKey, ...]


def read_secret(content: bytes, path: Path) -> TokenKeys:
    """The secret in a file, without what ends its last line.

    Raises:
        AccessRefused: it is too short, or no secret at all.
    """
    secret = content.rstrip(b"\r\n")
    if b"-----BEGIN" in secret or secret.lstrip()[:1] == b"{":
        raise AccessRefused(f"{path} holds a key pair's half or a document, no secret; see LECTERN_TOKEN_KEYS.")
    if len(secret) < LEAST_SECRET_BYTES:
        raise AccessRefused(
            f"{path} holds {len(secret)} bytes, and a secret for tokens has at least {LEAST_SECRET_BYTES}: "
            "`openssl rand -base64 48` makes one."
        )
    return (TokenKey("HS256", secret),)


def read_public(content: bytes, path: Path) -> TokenKeys:
    """The public keys in a file: PEM, one after another, or a JWKS document.

    Raises:
        AccessRefused: it holds none, too many, or one that must not be used.
    """
    document = content.lstrip()[:1] == b"{"
    found = _of_document(content, path) if document else [_of_pem(part, path) for part in _PEM.findall(content)]
    if not 0 < len(found) <= MOST_KEYS:
        raise AccessRefused(f"{path} holds {len(found)} public keys, as PEM or JWKS; give 1 to {MOST_KEYS}.")
    return tuple(found)


def _of_document(content: bytes, path: Path) -> list[TokenKey]:
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    try:
        keys = json.loads(content)["keys"]
        found = []
        for one in keys:
            if one.get("use", "sig") != "sig":
                continue
            if one["kty"] == "oct" or "d" in one:
                raise AccessRefused(f"{path} holds a secret or private key; only public ones check tokens of others.")
            key = _public(PyJWK(one, algorithm=_named(one)).key, path, one.get("kid"))
            if one.get("alg", key.algorithm) != key.algorithm:
                raise AccessRefused(f"{path} has a key for {one['alg']!r}; such keys are for {key.algorithm} here.")
            found.append(key)
    except (ValueError, KeyError, TypeError, AttributeError, PyJWTError):
        raise AccessRefused(f"{path} is no JWKS document that can be read.") from None
    return found


def _named(one: dict[str, Any]) -> str:
    """An algorithm that reads a key of a document; which one it is for is found by the key itself."""
    return {"RSA": "RS256", "OKP": "EdDSA"}.get(one["kty"], _OF_CURVE.get(one.get("crv", ""), "ES256"))


_OF_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


def _of_pem(content: bytes, path: Path) -> TokenKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY" in content:
        raise AccessRefused(f"{path} holds a secret or private key; only public ones check tokens of others.")
    try:
        return _public(load_pem_public_key(content), path, None)
    except (ValueError, UnsupportedAlgorithm):
        raise AccessRefused(f"{path} holds something that is no public key in PEM.") from None


def _public(key: Any, path: Path, named: Any) -> TokenKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    match key:
        case RSAPublicKey() if key.key_size >= LEAST_RSA_BITS:
            algorithm = "RS256"
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            algorithm = _CURVES[key.curve.name]
        case Ed25519PublicKey():
            algorithm = "EdDSA"
        case _:
            raise AccessRefused(
                f"{path} has a key that checks no token here: give RSA of {LEAST_RSA_BITS} bits or more, P-256, P-384, "
                "P-521 or Ed25519."
            )
    return TokenKey(algorithm, key, named if isinstance(named, str) else None)
