"""Tokens of callers (JWT): what an issuer signed of who asks.

Which key and which algorithm check a token is a matter of the settings. Of its header only `alg` and `kid` are read,
to refuse what cannot be meant.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from contract.errors import AccessRefused
from contract.settings import PREFIX
from serving.access.caller import ALL, INCLUDES, Right, Rights, granted
from serving.access.followed import Followed
from serving.access.token_keys import TokenKeys

LEEWAY_S = 10.0
"""By how much the clocks of issuer and service may differ."""
_MOST_SCOPES = 200
_LATEST = 1 << 40
"""No time is later, in seconds since 1970."""
_DANGEROUS = ("b64", "crit", "jku", "jwk", "x5c", "x5u")
"""What a header may not hold: keys of its own, places of keys, and what has to be understood."""
_NAME = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a token is about, and until when it counts."""

    name: str
    rights: Rights
    until: float
    """In seconds since 1970."""


class Tokens:
    """Checks tokens."""

    def __init__(self, keys: Followed[TokenKeys], audience: str, issuer: str) -> None:
        """Prepare to check.

        Args:
            keys: what they are checked with.
            audience: that they have to name.
            issuer: that they have to name.
        """
        self.keys = keys
        self._audience, self._issuer = audience, issuer

    def find(self, token: bytes, keys: TokenKeys, now: float) -> Subject | None:
        """Who a token is about that one of these keys signed; None where it is not to be believed."""
        found = self._checked(token, keys) if token.count(b".") == 2 else None
        return found if found and now < found.until else None

    def _checked(self, token: bytes, keys: TokenKeys) -> Subject | None:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            if any(name in header for name in _DANGEROUS):
                return None
            for key in keys:
                if header.get("alg") == key.algorithm and (key.id is None or header.get("kid", key.id) == key.id):
                    try:
                        return self._subject(self._claims(token, key.key, key.algorithm))
                    except jwt.InvalidSignatureError:  # another key may have made it
                        continue
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return None

    def _claims(self, token: bytes, key: Any, algorithm: str) -> dict[str, Any]:
        import jwt

        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp", "aud", "iss"], "enforce_minimum_key_length": True},
        )
        return claims

    def _subject(self, claims: dict[str, Any]) -> Subject:
        """What the claims of a token that was checked say.

        Raises:
            ValueError: one is not what it should be.
        """
        for name in ("exp", "nbf", "iat"):
            value = claims.get(name, 0)
            if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= _LATEST:
                raise ValueError(name)
        name, scope = claims.get("sub", ""), claims.get("scope", "")
        if not isinstance(scope, str) or not isinstance(name, str) or (name and not _NAME.fullmatch(name)):
            raise ValueError("sub, scope")
        return Subject(name, _rights(scope), claims["exp"] + LEEWAY_S)


def _rights(scope: str) -> Rights:
    """What a scope gives: `predict` with all models, `iris:predict` with one; other words do not count."""
    found: dict[str, set[Right]] = {}
    for word in scope.split()[:_MOST_SCOPES]:
        model, colon, given = word.rpartition(":")
        for right in INCLUDES:
            if right == given and (model or not colon):  # `:admin` is of no model, not of all
                found.setdefault(model or ALL, set()).add(right)
    return granted(found)


def need_jwt() -> None:
    """Look whether what checks tokens is installed.

    Raises:
        AccessRefused: it is not.
    """
    if find_spec("jwt") is None or find_spec("cryptography") is None:
        raise AccessRefused(
            f"{PREFIX}TOKEN_SECRET or {PREFIX}TOKEN_KEYS is set, and what checks tokens is not installed: "
            "`pip install 'lectern[access]'` brings it."
        )
