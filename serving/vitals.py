"""Vitals: whether a version still answers, by what its last requests came to."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Collection
from functools import cache

from pydantic_core import to_json

from contract.answers import Columns
from contract.errors import LecternError, ModelCrashed
from serving.metrics import Batches

IN_A_ROW = 3
"""After so many requests that it died of, or hung at, a version counts as unhealthy until it answers one."""
DEADLINE = "deadline"

log = logging.getLogger("lectern.vitals")


class Vitals:
    """Of one version. It goes on being asked, whatever it did before: the first answer makes it healthy again."""

    def __init__(self, name: str = "a version", sensitive: Collection[str] = (), counts: Batches | None = None) -> None:
        self.name = name
        """What it is called where it is told of."""
        self.counts = counts or Batches()
        self._sensitive = frozenset(sensitive)
        self._lost = 0

    @property
    def healthy(self) -> bool:
        """Whether one of the last few requests was answered."""
        return self._lost < IN_A_ROW

    @property
    def trouble(self) -> str:
        """What is wrong with it, as a sentence; empty where nothing is."""
        if self.healthy:
            return ""
        return f"It is unhealthy: it died of, or hung at, the last {self._lost} requests; it goes on being asked."

    def answered(self) -> None:
        """It has."""
        self._lost = 0

    def died(self, error: LecternError) -> None:
        """Count a death of its process, or that it had to be stopped."""
        self.counts.deaths[error.reason if isinstance(error, ModelCrashed) else DEADLINE] += 1

    def lost(self, columns: Columns, error: Exception) -> None:
        """Keep that it died of, or hung at, these rows: they are known by their hash, without what is sensitive.

        The hash is of this process alone, so that nobody can find out by trying what the rows were.
        """
        self._lost += 1
        shown = {name: values for name, values in columns.items() if name not in self._sensitive}
        found = hashlib.blake2b(to_json(shown, inf_nan_mode="constants"), digest_size=8, key=_key_of(os.getpid()))
        rows = found.hexdigest()
        log.error("%s was lost at rows with the hash %s: %s", self.name, rows, error, extra={"rows_hash": rows})
        if self._lost == IN_A_ROW:
            log.error("%s is unhealthy: so many requests in a row have come to nothing.", self.name)


@cache
def _key_of(_: int) -> bytes:
    return os.urandom(16)
