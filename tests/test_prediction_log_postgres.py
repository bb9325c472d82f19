"""The prediction log in PostgreSQL when that is down, goes away, is slow, or has another password."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.errors import LogUnavailable
from serving.loading import Served
from serving.metrics import LogCounts
from tests import postgres
from tests.live import until
from tests.logged import POSTGRES, database, in_turn, logging_to, place, requests, rows_of, version
from tests.postgres import Cluster

pytestmark = pytest.mark.skipif(not POSTGRES, reason="`make unit-postgres` runs these")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return version(tmp_path_factory.mktemp("version"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server that may be stopped."""
    with postgres.cluster() as found:
        yield found


@pytest.fixture(autouse=True)
def empty(cluster: Cluster) -> Iterator[None]:
    """Nothing is in it when a test begins."""
    yield
    import psycopg

    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def all_of(counts: LogCounts) -> int:
    return counts.stored + counts.dropped


def test_one_that_is_down_at_the_start_is_written_once_it_is_up(
    served: Served, cluster: Cluster, tmp_path: Path
) -> None:
    cluster.stop()
    try:
        with logging_to(cluster.url, tmp_path, log_queue_rows=100) as (log, counts):
            in_turn(log, requests(served, 150))
            until(lambda: log.trouble)
            assert "cannot be written: connection" in log.trouble
            assert (counts.stored, counts.dropped) == (0, 50)
            cluster.start()
            until(lambda: counts.stored == 100, within_s=15)
            until(lambda: log.trouble == "")
    finally:
        if not (cluster.folder / "data" / "postmaster.pid").exists():
            cluster.start()
    assert len(rows_of(cluster.url, tmp_path, "id")) == 100


def test_one_that_goes_away_is_connected_to_again(served: Served, cluster: Cluster, tmp_path: Path) -> None:
    with logging_to(cluster.url, tmp_path) as (log, counts):
        in_turn(log, requests(served, 100))
        until(lambda: counts.stored == 100)
        cluster.stop()
        in_turn(log, requests(served, 100))
        until(lambda: log.trouble)
        cluster.start()
        until(lambda: counts.stored == 200, within_s=15)
        os.kill(cluster.process, signal.SIGQUIT)  # in the midst of it
        in_turn(log, requests(served, 3_000))
        until(lambda: not (cluster.folder / "data" / "postmaster.pid").exists())
        cluster.start()
        until(lambda: all_of(counts) == 3_200)
    assert len(rows_of(cluster.url, tmp_path, "id")) == counts.stored == 3_200


def test_one_that_is_slow_is_waited_for(served: Served, cluster: Cluster, tmp_path: Path) -> None:
    import psycopg

    with logging_to(cluster.url, tmp_path, log_queue_rows=200) as (log, counts):
        in_turn(log, requests(served, 10))
        until(lambda: counts.stored == 10)
        with psycopg.connect(cluster.url) as other:
            other.execute("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE")
            in_turn(log, requests(served, 500))
            assert counts.dropped == 300
            assert counts.stored == 10
        until(lambda: counts.stored == 210)
    assert len(rows_of(cluster.url, tmp_path, "id")) == 210


def test_another_password_is_taken_up_where_the_driver_finds_it(
    served: Served, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    passwords = tmp_path / "pgpass"
    rules = cluster.folder / "data" / "pg_hba.conf"
    before = rules.read_text()

    def rotate(password: str) -> None:
        with psycopg.connect(cluster.url, autocommit=True) as admin:
            admin.execute(f"ALTER ROLE scribe PASSWORD '{password}'".encode())
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'scribe'")

    def write(password: str) -> None:
        passwords.write_text(f"*:*:*:scribe:{password}\n")
        passwords.chmod(0o600)

    with psycopg.connect(cluster.url, autocommit=True) as admin:
        admin.execute("CREATE ROLE scribe LOGIN PASSWORD 'one'")
        admin.execute("GRANT ALL ON SCHEMA public TO scribe")
        rules.write_text("local all scribe scram-sha-256\n" + before)
        admin.execute("SELECT pg_reload_conf()")
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    write("one")
    url = cluster.url.replace(f"{cluster.user}@", "scribe@")
    try:
        with logging_to(url, tmp_path) as (log, counts):
            in_turn(log, requests(served, 10))
            until(lambda: counts.stored == 10)
            rotate("two")
            in_turn(log, requests(served, 10))
            until(lambda: "password authentication failed" in log.trouble)
            write("two")
            until(lambda: counts.stored == 20, within_s=15)
        wrong = url.replace("scribe@", "scribe:Kanarienvogel@")
        with pytest.raises(LogUnavailable, match="password authentication failed") as refused:
            database(wrong, tmp_path).__enter__()
        assert "Kanarienvogel" not in str(place(wrong, tmp_path))
        assert "Kanarienvogel" not in str(refused.value)
    finally:
        rules.write_text(before)
        with psycopg.connect(cluster.url, autocommit=True) as admin:
            admin.execute("SELECT pg_reload_conf()")
            admin.execute("DROP OWNED BY scribe CASCADE")
            admin.execute("DROP ROLE scribe")
