"""Keeping: for how long the log keeps what it holds. What is older goes in pieces, between which rows are written."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select

from serving.prediction_log.database.engine import Database
from serving.prediction_log.database.tables import FEEDBACK, FIELD_COUNTS, PREDICTIONS

_AT_ONCE = 1_000
_PAUSE_S = 0.01
_DAY_US = 86_400 * 1_000_000

log = logging.getLogger("lectern.log")


@dataclass
class Pruned:
    """How much went."""

    days: int
    predictions: int = 0
    feedback: int = 0
    field_counts: int = 0

    def __str__(self) -> str:
        found = {"predictions": self.predictions, "of feedback": self.feedback, "counts of fields": self.field_counts}
        told = ", ".join(f"{number:,} {what}" for what, number in found.items())
        return f"The prediction log let go of what was older than {self.days} days: {told}."

    def tell(self) -> None:
        """Say it in the log of the service, if there is something to say."""
        if self.predictions or self.feedback or self.field_counts:
            log.info("%s", self)


def prune(database: Database, days: int, now: float | None = None) -> Pruned:
    """Delete what is older, and the feedback on it, and feedback on nothing that came before.

    Args:
        database: the log.
        days: what is younger stays.
        now: seconds since 1970; this moment when not given.

    Raises:
        LogUnavailable: it could not be done to its end.
    """
    done, before = Pruned(days), int((time.time() if now is None else now) * 1e6) - days * _DAY_US
    for model in models(database):
        while keys := _some(database, PREDICTIONS, PREDICTIONS.c.model == model, PREDICTIONS.c.at < before):
            with database.writing() as connection:
                ids = select(PREDICTIONS.c.id).where(PREDICTIONS.c.key.in_(keys))
                done.feedback += _gone(connection, FEEDBACK, FEEDBACK.c.prediction_id.in_(ids))
                done.predictions += _gone(connection, PREDICTIONS, PREDICTIONS.c.key.in_(keys))
            time.sleep(_PAUSE_S)
        while keys := _some(database, FIELD_COUNTS, FIELD_COUNTS.c.model == model, FIELD_COUNTS.c.ended < before):
            with database.writing() as connection:
                done.field_counts += _gone(connection, FIELD_COUNTS, FIELD_COUNTS.c.key.in_(keys))
            time.sleep(_PAUSE_S)
    while names := _some(database, FEEDBACK, FEEDBACK.c.received < before):
        with database.writing() as connection:
            done.feedback += _gone(connection, FEEDBACK, FEEDBACK.c.prediction_id.in_(names))
        time.sleep(_PAUSE_S)
    return done


def models(database: Database) -> Iterator[str]:
    """The models in the log, each found by one look into an index, however many rows it has."""
    name = ""
    while True:
        with database.reading() as connection:
            after = [select(func.min(t.c.model)).where(t.c.model > name) for t in (PREDICTIONS, FIELD_COUNTS)]
            found = [model for wanted in after if (model := connection.execute(wanted).scalar()) is not None]
        if not found:
            return
        name = min(found)
        yield name


def _some(database: Database, table: Table, *conditions: Any) -> list[Any]:
    """The primary keys of some rows."""
    [key] = table.primary_key.columns
    with database.reading() as connection:
        return list(connection.execute(select(key).where(*conditions).limit(_AT_ONCE)).scalars())


def _gone(connection: Connection, table: Table, condition: Any) -> int:
    return connection.execute(delete(table).where(condition)).rowcount
