"""Prediction logs to test with: rows to offer, and places for a log, in SQLite and where one runs in PostgreSQL."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from contract.answers import Answers
from contract.signature import Field, Output, Signature
from contract.store import Store
from serving.loading import Served, load
from serving.metrics import LogCounts
from serving.observed import GONE, Observed
from serving.prediction_log.database.engine import Database
from serving.prediction_log.database.opening import opened
from serving.prediction_log.place import Place, place_of
from serving.prediction_log.rows import COLUMNS, LoggedRow
from serving.prediction_log.writer import PredictionLog
from serving.replies import Reply
from serving.requests import Row, Unlike
from serving.settings import ServeSettings
from tests.live import publish_graph

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "")
"""Where a database of PostgreSQL is; `make unit-postgres` starts one and says so."""
DATABASES = ["sqlite", *(["postgresql"] if POSTGRES else [])]
_NUMBERS = count()


def version(folder: Path, *inputs: Field, output: Output | None = None) -> Served:
    """A version, as far as what is logged depends on it."""
    store = Store(folder / "models")
    number = publish_graph(store, "times")
    found = load("times", number, store.artifact("times", number), ServeSettings(), tried=True)
    found.predictor.retire()
    signature = found.manifest.signature
    changed = Signature(
        container=signature.container, inputs=inputs or signature.inputs, output=output or signature.output
    )
    return replace(found, manifest=found.manifest.model_copy(update={"signature": changed}))


def observed(
    served: Served,
    *rows: Row,
    answers: Answers | None = None,
    unlike: Unlike | None = None,
    request_id: str = "",
    **headers: Any,
) -> Observed:
    """A request that was answered; headers by name, with underscores."""
    request_id = request_id or f"{next(_NUMBERS):020x}"
    scope = {
        "type": "http",
        "path": "/predict",
        "client": ("192.0.2.7", 4711),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    found = answers or Answers([float(number) for number in range(len(rows))])
    reply = Reply(b"", list(rows), found, unlike or {}, request_id, len(rows) != 1)
    return Observed(served, scope, request_id, 200, 0.0125, perf_counter(), len(rows), reply)


def requests(served: Served, number: int, **headers: Any) -> list[Observed]:
    """So many requests of one row each."""
    return [observed(served, {"x": float(n)}, **headers) for n in range(number)]


def row_to_write(name: str, **changes: Any) -> LoggedRow:
    """A row as the database gets it."""
    usual: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {
        "id": name,
        "at": 1,
        "version": 1,
        "latency_us": 1,
        "gone": False,
    }
    return tuple((usual | {"subject": None} | changes)[column] for column in COLUMNS)


def abandoned(request: Observed) -> Observed:
    """The end of a stream whose caller left."""
    return request._replace(status=GONE, reply=None)


@contextmanager
def logging_to(place: str | Path, folder: Path, **settings: Any) -> Iterator[tuple[PredictionLog, LogCounts]]:
    """A log that is being written, in the folder of a store."""
    counts = LogCounts()
    found = ServeSettings(store=folder, prediction_log=str(place), **settings)
    log = PredictionLog(found.open_store(), found, counts)
    log.start()
    try:
        yield log, counts
    finally:
        log.stop()


def in_turn(log: PredictionLog, some: Sequence[Observed], at_once: int = 200) -> None:
    """Have requests seen as the observation does."""
    for begin in range(0, len(some), at_once):
        log.see(some[begin : begin + at_once])


@pytest.fixture(params=DATABASES)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a log of its own can be: a file, or a schema that goes with the test."""
    if request.param == "sqlite":
        yield str(tmp_path / "log" / "predictions.sqlite")
        return
    with schema() as found:
        yield found


@contextmanager
def schema() -> Iterator[str]:
    """The address of an empty schema in PostgreSQL."""
    import psycopg

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
        try:
            yield f"{POSTGRES}&options=-csearch_path%3D{name}"
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE".encode())


def place(address: str | Path, folder: Path) -> Place:
    """The place that a setting names."""
    settings = ServeSettings(store=folder, prediction_log=str(address))
    found = place_of(settings, settings.open_store())
    assert found is not None
    return found


@contextmanager
def database(address: str | Path, folder: Path, **how: Any) -> Iterator[Database]:
    """The log at an address, open."""
    found = opened(place(address, folder), **how)
    try:
        yield found
    finally:
        found.close()


def rows_of(address: str | Path, folder: Path, columns: str = "*", table: str = "predictions") -> list[tuple[Any, ...]]:
    """All rows of a table, in the order in which they were written."""
    from sqlalchemy import text

    order = "" if table == "feedback" else "ORDER BY key"
    with database(address, folder) as found, found.reading() as connection:
        return [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM {table} {order}"))]


def ids_in(file: Path) -> list[str]:
    """The ids in a file, read beside whoever writes to it."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions'").fetchone():
            return []  # it is being made
        return [name for (name,) in connection.execute("SELECT id FROM predictions ORDER BY key")]
    finally:
        connection.close()
