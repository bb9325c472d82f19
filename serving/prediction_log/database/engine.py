"""The engine: transactions on the database of a log, and what its errors mean.

On SQLite whoever writes asks for the lock at once (`BEGIN IMMEDIATE`): who reads first and writes then would be refused
without waiting whenever somebody else wrote in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from contract.errors import LogUnavailable
from serving.prediction_log.place import Place

_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_READS = "lectern_reads"
"""The option of a connection that only reads."""
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON", "wal_autocheckpoint=4000")
"""Readers and a writer side by side; whole after a power failure; what is deleted is overwritten; and the log of what
was written may be 16 MB long before it is gone through, which then costs less for each row."""
_CONNECT_S, _SILENT_MS, _STATEMENT_MS = 2, 10_000, 30_000


class LogBroken(LogUnavailable):
    """The file is no database, or a damaged one, or its tables are not what they should be."""


class LogRefuses(LogUnavailable):
    """The database does not take what it was given, and will not another time."""


class Database:
    """A log that is open. Its transactions may be begun in any thread; its errors never name a value."""

    def __init__(self, place: Place, patience_s: float) -> None:
        """Prepare to connect.

        Args:
            place: where it is.
            patience_s: how long to wait for others who write to the same file.
        """
        self.place = place
        sqlite = place.file is not None
        keeps = {"tcp_user_timeout": _SILENT_MS, "connect_timeout": _CONNECT_S, "application_name": "lectern"}
        given: dict[str, Any] = {"timeout": patience_s} if sqlite else keeps
        self.engine = create_engine(place.url, connect_args=given, hide_parameters=True, pool_pre_ping=not sqlite)
        event.listen(self.engine, "connect", _prepare_file if sqlite else _prepare_session)
        if sqlite:
            event.listen(self.engine, "begin", _begin)
        self._file = _identity(place.file)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.place.file is not None

    @property
    def is_there(self) -> bool:
        """Whether the file that was opened is still the one at its place."""
        return self._file is not None and _identity(self.place.file) == self._file if self.is_sqlite else True

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may change something.

        Raises:
            LogUnavailable: it could not be made, or committed.
        """
        with _told(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of all tables.

        Raises:
            LogUnavailable: it could not be made.
        """
        with _told(), self.engine.connect().execution_options(**{_READS: True}) as connection:
            yield connection

    @contextmanager
    def apart(self) -> Iterator[Any]:
        """A cursor of the driver outside of any transaction, for what cannot be done inside one.

        Raises:
            LogUnavailable: it failed.
        """
        with _told():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                if not self.is_sqlite:
                    connection.driver_connection.autocommit = True  # type: ignore[union-attr]  # it is connected
                    cursor.execute("SET statement_timeout = 0")
                yield cursor
            finally:
                connection.invalidate()

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def reason(error: BaseException) -> str:
    """What the database says, on one line; further ones may hold values."""
    found = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return (str(found).strip() or type(found).__name__).splitlines()[0].rstrip(".")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        found = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(found, "sqlite_errorcode", 0) & 0xFF
        refused = isinstance(error, DataError | IntegrityError)
        kind = LogBroken if code in _BROKEN else LogRefuses if refused else LogUnavailable
        raise kind(reason(error)) from error
    except (OverflowError, UnicodeError) as error:  # raised by drivers, for values
        raise LogRefuses(type(error).__name__) from error


def _prepare_file(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin when we say so
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _prepare_session(connection: Any, _: ConnectionPoolEntry) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {_STATEMENT_MS}")
    connection.commit()


def _begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _identity(file: Path | None) -> tuple[int, int] | None:
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None
