"""A service that asks who asks, in this process; and tokens, good and forged."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contract.store import Store
from serving.app import create_app
from serving.settings import ServeSettings
from tests.live import until
from tests.test_app import served

AUDIENCE, ISSUER = "models", "https://id.example"
SECRET = b"0123456789abcdef0123456789abcdef0123"
RSA, OTHER_RSA = generate_private_key(65537, 2048), generate_private_key(65537, 2048)
ED25519 = Ed25519PrivateKey.generate()


@contextmanager
def locked(store: Store, **settings: Any) -> Iterator[httpx.Client]:
    """A service of a store, once all of it answers."""
    given = {"store": store.root, "prediction_log": "none"} | settings
    with served(create_app(ServeSettings(**given)), read=False) as client:
        until(lambda: client.get("/health/ready").json()["status"] == "ready")
        yield client


def bearer(credential: str) -> dict[str, str]:
    """The header that shows it."""
    return {"authorization": f"Bearer {credential}"}


def pem(key: Any) -> bytes:
    """The public half of a key."""
    content: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return content


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says; None leaves a claim out."""
    now = int(time.time())
    usual = {"sub": "ada", "iss": ISSUER, "aud": AUDIENCE, "exp": now + 86_400, "iat": now, "scope": "predict read"}
    return {name: value for name, value in (usual | changes).items() if value is not None}


def token(key: Any = RSA, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token that was signed."""
    return jwt.encode(claims(**changes), key, algorithm, header)


def forged(header: dict[str, Any], said: dict[str, Any] | str, signature: bytes = b"") -> str:
    """A token that no library would make."""
    content = said if isinstance(said, str) else json.dumps(said)
    parts = [json.dumps(header).encode(), content.encode(), signature]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def written(path: Path, content: bytes) -> Path:
    """A file that only its owner can write to."""
    path.write_bytes(content)
    path.chmod(0o600)
    return path
