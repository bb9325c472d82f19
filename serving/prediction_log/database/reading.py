"""Reading: rows of the log with their truth, some thousand at a time and in order, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, select, true, tuple_

from serving.prediction_log.database.engine import Database
from serving.prediction_log.database.keeping import models
from serving.prediction_log.database.tables import FEEDBACK, FIELD_COUNTS, PREDICTIONS
from serving.prediction_log.rows import COLUMNS

PAGE_ROWS = 5_000
"""Each page is a transaction: one that reads for long would keep the log from becoming shorter."""

Record = dict[str, Any]
"""A row by column, as the database has it."""


@dataclass(frozen=True)
class Wanted:
    """Which rows."""

    model: str | None = None
    since: int | None = None
    """In microseconds since 1970."""
    until: int | None = None
    """The first moment that is too late."""
    subject: str | None = None
    """As the log has it: hashed."""


def predictions(database: Database, wanted: Wanted) -> Iterator[list[Record]]:
    """Pages of rows, model by model, the oldest first.

    Raises:
        LogUnavailable: the log cannot be read.
    """
    columns = PREDICTIONS.c
    if wanted.subject is not None:
        yield from _pages(database, _predictions(wanted), [columns.key])
        return
    for model in _models(database, wanted):
        found = _predictions(wanted).where(columns.model == model)
        yield from _pages(database, found, [columns.at, columns.key])


def last_predictions(database: Database, wanted: Wanted, most: int) -> list[Record]:
    """The newest rows, the oldest of them first.

    Raises:
        LogUnavailable: the log cannot be read.
    """
    columns, found = PREDICTIONS.c, list[Record]()
    for model in _models(database, wanted):
        newest = _predictions(wanted).where(columns.model == model).order_by(columns.at.desc(), columns.key.desc())
        with database.reading() as connection:
            found += [dict(row) for row in connection.execute(newest.limit(most)).mappings()]
    return sorted(found, key=lambda row: (row["at"], row["key"]))[-most:]


def field_counts(database: Database, wanted: Wanted) -> Iterator[list[Record]]:
    """Pages of what drift counted, model by model, the oldest first.

    Raises:
        LogUnavailable: the log cannot be read.
    """
    columns = FIELD_COUNTS.c
    within = _between(columns.ended, wanted)
    for model in _models(database, wanted):
        found = select(FIELD_COUNTS).where(columns.model == model, *within)
        yield from _pages(database, found, [columns.ended, columns.key])


def _models(database: Database, wanted: Wanted) -> Sequence[str]:
    return [wanted.model] if wanted.model is not None else list(models(database))


def _predictions(wanted: Wanted) -> Select[Any]:
    columns = PREDICTIONS.c
    shown = [columns.key, *(columns[name] for name in COLUMNS)]
    truth = [FEEDBACK.c.truth, FEEDBACK.c.at.label("truth_at")]
    return (
        select(*shown, *truth)
        .outerjoin(FEEDBACK, FEEDBACK.c.prediction_id == columns.id)
        .where(
            *_between(columns.at, wanted),
            columns.subject == wanted.subject if wanted.subject is not None else true(),
            columns.model == wanted.model if wanted.model is not None else true(),
        )
    )


def _between(moment: Column[Any], wanted: Wanted) -> list[ColumnElement[bool]]:
    found = [moment >= wanted.since] if wanted.since is not None else []
    return [*found, moment < wanted.until] if wanted.until is not None else found


def _pages(database: Database, found: Select[Any], order: Sequence[Column[Any]]) -> Iterator[list[Record]]:
    """Pages of rows by columns that name each row; the next page begins after the last row of the one before."""
    after: ColumnElement[bool] = true()
    while True:
        with database.reading() as connection:
            page = found.where(after).order_by(*order).limit(PAGE_ROWS)
            rows = [dict(row) for row in connection.execute(page).mappings()]
        if rows:
            yield rows
        if len(rows) < PAGE_ROWS:
            return
        after = tuple_(*order) > tuple_(*(rows[-1][column.name] for column in order))
