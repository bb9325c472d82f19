"""The canary: a share of a champion's requests that the challenger answers."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable

from serving.loading import Served

CLIENT = b"lectern-client"
"""The header in which a caller says who it is, so that it is always answered by the same version."""
_GOLDEN = 0.6180339887498949
_BUCKETS = 1 << 32


class Split:
    """Chooses between two versions, request by request."""

    def __init__(self, champion: Served, challenger: Served, share: float) -> None:
        """Prepare the choice.

        Args:
            champion: answers most requests.
            challenger: answers the others.
            share: percent of the requests that it answers.
        """
        self.champion, self.challenger = champion, challenger
        self._share = share / 100
        self._point = random.random()  # no secret

    def choose(self, headers: Iterable[tuple[bytes, bytes]]) -> Served:
        """The version that answers a request: always the same for the same client, else in turn.

        Without a client's name, the requests fall on the points of a golden-ratio sequence: of any n in a row the
        challenger gets its share within a few requests, and no rhythm of the callers meets one of ours.
        """
        client = next((value for name, value in headers if name == CLIENT), None)
        if client is None:
            self._point = (self._point + _GOLDEN) % 1
            point = self._point
        else:
            digest = hashlib.blake2b(self.champion.model.encode() + b"\0" + client, digest_size=4).digest()
            point = int.from_bytes(digest) / _BUCKETS
        return self.challenger if point < self._share else self.champion
