"""Writing: a batch of rows in one transaction, each of them once however often it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from time import thread_time
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text, true, update
from sqlalchemy.dialects import postgresql, sqlite

from serving.prediction_log.database.engine import Database
from serving.prediction_log.database.tables import ERASURES, FIELD_COUNTS, PREDICTIONS
from serving.prediction_log.rows import AT, COLUMNS, SUBJECT, LoggedRow

_AT_ONCE = 100
"""Rows in one statement. Each statement lets other threads run and has to wait until they let it, so few are better."""
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_ABANDONED = (
    update(PREDICTIONS)
    .where(PREDICTIONS.c.id >= bindparam("first"), PREDICTIONS.c.id < bindparam("after"))
    .values(gone=true())
)


def write(
    database: Database,
    rows: Sequence[LoggedRow],
    abandoned: Iterable[str] = (),
    rest: Callable[[float], object] = lambda _: None,
) -> int:
    """Write rows, and mark those of streams that were abandoned; return how many of the rows are in the log now.

    The others are of subjects that were erased after they were answered.

    Args:
        database: the log.
        rows: the rows; one that is there already stays as it is.
        abandoned: the ids of requests whose callers left before their streams had ended.
        rest: called between statements with the seconds of processor time that the last one took.

    Raises:
        LogUnavailable: nothing was written, or nobody knows; it can be done again.
        LogRefuses: one of the rows is of a kind that the database does not take.
    """
    with database.writing() as connection:
        rows = _without_erased(connection, rows)
        placeholder = "?" if database.is_sqlite else "%s"
        for begin in range(0, len(rows), _AT_ONCE):
            began, some = thread_time(), rows[begin : begin + _AT_ONCE]
            connection.exec_driver_sql(_insert(len(some), placeholder), tuple(chain.from_iterable(some)))
            rest(thread_time() - began)
        if marks := [{"first": f"{name}-", "after": f"{name}."} for name in abandoned]:  # "." is what follows "-"
            connection.execute(_ABANDONED, marks)
    return len(rows)


def write_counts(database: Database, counts: Sequence[Mapping[str, Any]]) -> None:
    """Write what drift counted.

    Raises:
        LogUnavailable: nothing was written, or nobody knows; it can be done again.
        LogRefuses: one of them is of a kind that the database does not take.
    """
    with database.writing() as connection:
        insert = _INSERTS[connection.dialect.name](FIELD_COUNTS)
        connection.execute(insert.on_conflict_do_nothing(), list(counts))


@cache
def _insert(rows: int, placeholder: str) -> str:
    row = f"({', '.join([placeholder] * len(COLUMNS))})"
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    return f"INSERT INTO {PREDICTIONS.name} ({columns}) VALUES {', '.join([row] * rows)} ON CONFLICT DO NOTHING"


def _without_erased(connection: Connection, rows: Sequence[LoggedRow]) -> Sequence[LoggedRow]:
    """The rows but those of subjects that were erased since; who erases waits for this transaction, or it for them."""
    subjects = {row[SUBJECT] for row in rows if row[SUBJECT]}
    if not subjects:
        return rows
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {PREDICTIONS.name} IN ROW EXCLUSIVE MODE"))
    columns = ERASURES.c
    wanted = select(columns.subject_hash, func.max(columns.at)).where(columns.subject_hash.in_(subjects))
    found = connection.execute(wanted.group_by(columns.subject_hash))
    erased: dict[Any, int] = {row[0]: row[1] for row in found}
    return [row for row in rows if row[AT] > erased.get(row[SUBJECT], 0)] if erased else rows  # type: ignore[operator]  # a number
