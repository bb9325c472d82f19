"""The tables of the prediction log and the migrations that lead to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from contract.errors import LogUnavailable
from serving.prediction_log.database import migrations, writing
from serving.prediction_log.database.engine import LogRefuses
from serving.prediction_log.database.opening import opened
from serving.prediction_log.database.tables import FIELD_COUNTS, HEAD, METADATA, VERSION_TABLE
from serving.prediction_log.rows import COLUMNS
from tests.logged import address, database, place
from tests.logged import row_to_write as row

__all__ = ["address"]

COUNTS = {"model": "m", "version": 1, "began": 1, "ended": 2, "worker": "w", "rows": 3, "counts": "{}"}


def differences(connection: Connection) -> list[Any]:
    """What Alembic finds to do to the tables."""
    options = {"version_table": VERSION_TABLE, "compare_server_default": True}
    found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)
    return found


def made_by(connection: Connection) -> dict[str, str]:
    """How each table and index was made."""
    found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {name: " ".join(sql.split()) for name, sql in found if name != VERSION_TABLE}


def test_a_new_log_has_the_tables_of_the_newest_migration(address: str, tmp_path: Path) -> None:
    script = ScriptDirectory(str(Path(str(migrations.__file__)).parent))
    assert script.get_current_head() == HEAD
    with database(address, tmp_path) as found, found.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert context.get_current_heads() == (HEAD,)
        assert differences(connection) == []


def test_the_migrations_make_the_same_tables(address: str, tmp_path: Path) -> None:
    config = Config(attributes={})
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
    with database(address, tmp_path) as found:
        made = None
        with found.writing() as connection:
            made = made_by(connection) if found.is_sqlite else None
            METADATA.drop_all(connection)
            connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            assert differences(connection) == []
            if found.is_sqlite:
                assert made_by(connection).keys() == (made or {}).keys()


def test_an_older_log_is_brought_up_to_date(address: str, tmp_path: Path) -> None:
    with database(address, tmp_path) as found, found.writing() as connection:
        METADATA.drop_all(connection)
        connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))  # before the first migration
    with database(address, tmp_path) as found, found.reading() as connection:
        assert differences(connection) == []


def test_a_log_of_a_newer_lectern_is_left_alone(address: str, tmp_path: Path) -> None:
    with database(address, tmp_path) as found, found.writing() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '99'"))
        connection.execute(text("DROP TABLE erasures"))
    with pytest.raises(
        LogUnavailable, match=f"was made by a newer Lectern: its schema is '99', .* knows up to '{HEAD}'"
    ):
        opened(place(address, tmp_path))
    if "postgresql" not in address:
        assert not [*Path(address).parent.glob("*corrupt*")]


def test_a_row_is_there_once_however_often_it_is_written(address: str, tmp_path: Path) -> None:
    rows = [row(f"r{number}") for number in range(130)]
    with database(address, tmp_path) as found:
        assert [writing.write(found, rows) for _ in range(2)] == [130, 130]
        for _ in range(2):
            writing.write_counts(found, [COUNTS, COUNTS | {"began": 2}])
        with found.reading() as connection:
            names = connection.execute(text("SELECT id FROM predictions ORDER BY key")).scalars().all()
            assert connection.execute(text("SELECT count(*) FROM field_counts")).scalar() == 2
    assert names == [one[0] for one in rows]


def test_what_no_database_takes_is_told_from_what_passes(address: str, tmp_path: Path) -> None:
    with database(address, tmp_path) as found:
        for bad in (row("a", alias=None), row("a", alias="\ud800"), row("a", at=1 << 70)):
            with pytest.raises(LogRefuses) as refused:
                writing.write(found, [row("b"), bad])
            assert "r'b'" not in str(refused.value)
        with found.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM predictions")).scalar() == 0


def test_every_column_is_written(tmp_path: Path, address: str) -> None:
    with database(address, tmp_path) as found, found.reading() as connection:
        columns = {column["name"] for column in inspect(connection).get_columns("predictions")}
    assert {"key", *COLUMNS} == columns
    assert {"key", *COUNTS} == set(FIELD_COUNTS.c.keys())
