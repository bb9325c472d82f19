"""Opening: a log is made where there is none, brought up to date where it is older, put aside where it is broken."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from contract.errors import LogUnavailable
from serving.prediction_log.database.engine import Database, LogBroken
from serving.prediction_log.database.tables import HEAD, METADATA, VERSION, VERSION_TABLE
from serving.prediction_log.place import CORRUPT, Place

log = logging.getLogger("lectern.log")

_OURS = 0x4C454354
"""The application id in the head of our files: LECT."""
_ADVISORY = 0x4C454354
"""The lock under which one process at a time makes tables in PostgreSQL."""
_ALONE_S = 5.0


def opened(place: Place, *, patience_s: float = 1.0, make: bool = True) -> Database:
    """The log at a place, its tables as they should be.

    A file that is broken is put aside, under a name that says so, and a new one made. What is of a newer Lectern, or of
    somebody else, stays as it is.

    Raises:
        LogUnavailable: it cannot be opened, or is not there and shall not be made.
    """
    if place.file is None:
        return _prepared(place, patience_s)
    if not make and not place.file.exists():
        raise LogUnavailable(f"There is no prediction log at {place}; it begins with the first answer of a service.")
    try:
        place.make(place.file.parent)
        with _alone(place.file):
            try:
                return _made(place, patience_s)
            except LogBroken as broken:
                _put_aside(place.file, str(broken))
                return _made(place, patience_s)
    except OSError as error:
        raise LogUnavailable(f"{error.strerror or error}: {error.filename or place.file}") from error


def _made(place: Place, patience_s: float) -> Database:
    assert place.file is not None  # PostgreSQL makes its own
    with contextlib.suppress(FileExistsError):  # a file that is there is opened by SQLite alone: to close it once more
        # would drop the locks of this process; and SQLite would let others read the one that it makes
        os.close(os.open(place.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    return _prepared(place, patience_s)


def _prepared(place: Place, patience_s: float) -> Database:
    database = Database(place, patience_s)
    try:
        with database.reading() as connection:
            current = _is_current(connection)
        if not current:
            with database.writing() as connection:
                _bring_up_to_date(connection, place)
    except BaseException:
        database.close()
        raise
    return database


def _is_current(connection: Connection) -> bool:
    """Whether the tables are those that this Lectern knows; it costs a few look-ups, and does not load Alembic."""
    if not inspect(connection).has_table(VERSION_TABLE) or _revision(connection) != HEAD:
        return False
    try:
        for table in METADATA.sorted_tables:
            connection.execute(select(table).limit(0))
    except (OperationalError, ProgrammingError):
        raise LogBroken(f"the table '{table.name}' is not as it was made") from None
    return True


def _bring_up_to_date(connection: Connection, place: Place) -> None:
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY})"))
    names = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in names:
        _make(connection, place, names)
        return
    revision = _revision(connection)
    if revision == HEAD:  # somebody else was first
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    try:
        if revision is not None:
            ScriptDirectory.from_config(config).get_revision(revision)
    except CommandError:
        raise LogUnavailable(
            f"{place} was made by a newer Lectern: its schema is {revision!r}, and this one knows up to {HEAD!r}"
        ) from None
    command.upgrade(config, "head")


def _make(connection: Connection, place: Place, names: set[str]) -> None:
    """Make the tables as they are now, which no migration need be run for."""
    if connection.dialect.name == "sqlite":
        ours = connection.execute(text("PRAGMA application_id")).scalar() == _OURS
        if names and (ours or not place.asked):
            raise LogBroken("its tables are not those of a prediction log")
        if names:
            raise LogUnavailable(f"{place} holds tables of something else: {', '.join(sorted(names)[:3])}")
        connection.execute(text(f"PRAGMA application_id = {_OURS}"))
    elif taken := sorted(names & set(METADATA.tables)):
        raise LogUnavailable(f"there are tables of something else: {', '.join(taken)}; give a schema of its own")
    METADATA.create_all(connection, checkfirst=False)
    VERSION.create(connection)
    connection.execute(insert(VERSION).values(version_num=HEAD))


def _revision(connection: Connection) -> str | None:
    return connection.execute(select(VERSION.c.version_num)).scalar()


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Let one process at a time look whether the file is broken, and put it aside."""
    descriptor = os.open(file.with_name(f".{file.name}.opening"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _ALONE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LogUnavailable(f"another process has been opening {file} for {_ALONE_S:g} s") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _put_aside(file: Path, why: str) -> None:
    aside = file.with_name(f"{file.name}{CORRUPT}{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    for ending in ("-wal", "-shm", ""):  # the file last: with it goes what makes another process begin anew
        path = file.with_name(file.name + ending)
        if path.exists():
            path.rename(aside.with_name(aside.name + ending))
    log.error("The prediction log %s is broken (%s). It was moved to %s; a new one is begun.", file, why, aside.name)
