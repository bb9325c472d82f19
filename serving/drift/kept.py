"""Kept counts: what the prediction log still has of rows that were counted before this service began, or long ago."""

from __future__ import annotations

import time

from serving.drift.counting import Key
from serving.drift.reference import Reference
from serving.drift.slices import Slice
from serving.problems import Problem
from serving.quality.access import Access

MOST_ROWS = 500
"""Of the log, the newest: each is some minutes of one worker."""
AGAIN_S = 30.0
"""A page asks twice a second; the log is asked no more often than this."""


class Kept:
    """The log of one service. It may be asked by several threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._found: dict[Key, tuple[float, list[Slice]]] = {}

    def slices(self, key: Key, found: Reference, before: float) -> list[Slice]:
        """What was counted of a version before a moment; nothing where there is no log, or it cannot be read."""
        now = time.monotonic()
        if key not in self._found or self._found[key][0] + AGAIN_S < now:
            self._found[key] = now, self._read(key, found)
        return [one for one in self._found[key][1] if one.ended < before]

    def _read(self, key: Key, found: Reference) -> list[Slice]:
        try:
            with self._access.reading() as connection:
                from sqlalchemy import select

                from serving.prediction_log.database.tables import FIELD_COUNTS

                columns = FIELD_COUNTS.c
                wanted = select(columns.began, columns.ended, columns.rows, columns.counts)
                wanted = wanted.where(columns.model == key.model, columns.version == key.version)
                rows = connection.execute(wanted.order_by(columns.ended.desc()).limit(MOST_ROWS)).all()
        except Problem:
            return []
        read = ((row, found.read(row.counts)) for row in rows)
        return [Slice(row.began / 1e6, row.ended / 1e6, row.rows, counts) for row, counts in read if counts is not None]
