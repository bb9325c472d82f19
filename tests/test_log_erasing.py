"""serving.prediction_log.database.erasing: a subject that is erased is gone, also from bytes and from queues."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert

from contract.errors import LogUnavailable
from serving.loading import Served
from serving.metrics import LogCounts
from serving.prediction_log.database import erasing
from serving.prediction_log.database.tables import FEEDBACK
from serving.prediction_log.privacy import Privacy, read_key
from serving.prediction_log.writer import PredictionLog
from serving.settings import ServeSettings
from tests.live import until
from tests.logged import address, database, in_turn, logging_to, observed, place, requests, rows_of, version

__all__ = ["address"]

SUBJECT = "Kanarienvogel"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return version(tmp_path_factory.mktemp("version"))


@contextmanager
def still_writing(log: PredictionLog, served: Served) -> Iterator[None]:
    """A service that goes on to answer about somebody else."""
    stopping = threading.Event()

    def write() -> None:
        while not stopping.wait(0.01):
            in_turn(log, requests(served, 20, x_subject_id="somebody else"))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def hashed(address: str, folder: Path) -> str:
    return Privacy("none", read_key(place(address, folder), make=False)).subject(SUBJECT.encode())


def test_nothing_of_a_subject_is_left_in_any_byte_while_a_service_goes_on(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "log" / "predictions.sqlite"
    theirs = [observed(served, {"x": 987654.25 + n}, x_subject_id=SUBJECT) for n in range(400)]
    with logging_to(file, tmp_path, log_inputs="full") as (log, counts):
        for begin in range(0, 400, 4):  # among those of others, on every page
            in_turn(log, [*theirs[begin : begin + 4], *requests(served, 20, x_subject_id="somebody else")])
        until(lambda: counts.stored == 2_400)
        ids = [one.request_id for one in theirs]
        with database(file, tmp_path, patience_s=30) as found, still_writing(log, served):
            with found.writing() as connection:
                connection.execute(
                    insert(FEEDBACK), [{"prediction_id": n, "at": 1, "received": 1, "truth": '"sick"'} for n in ids[:3]]
                )
            assert b"987654" in content_of(file.parent)
            receipt = erasing.erase(found, hashed(str(file), tmp_path))
        content = content_of(file.parent)
    assert (receipt.predictions, receipt.feedback) == (400, 3)
    assert receipt.sha256 == hashlib.sha256("".join(f"{name}\n" for name in sorted(ids)).encode()).hexdigest()
    for canary in (b"987654", b'"sick"', SUBJECT.encode(), *(name.encode() for name in ids)):
        assert canary not in content
    assert rows_of(file, tmp_path, "at, subject_hash, predictions, feedback, sha256", "erasures") == [
        (receipt.at, receipt.subject_hash, 400, 3, receipt.sha256)
    ]
    assert len(rows_of(file, tmp_path, "id")) == counts.stored - 400


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_what_still_waits_when_its_subject_is_erased_is_never_written(
    served: Served, address: str, tmp_path: Path
) -> None:
    with logging_to(address, tmp_path) as (log, _):
        in_turn(log, requests(served, 1))
    before, after = (observed(served, {"x": 1.0}, {"x": 2.0}, x_subject_id=SUBJECT) for _ in range(2))
    other = observed(served, {"x": 1.0}, x_subject_id="somebody else")
    settings, counts = ServeSettings(store=tmp_path, prediction_log=address), LogCounts()
    waiting = PredictionLog(settings.open_store(), settings, counts)
    waiting.see([before, other, after._replace(ended=after.ended + 60)])
    with database(address, tmp_path) as found:
        erasing.erase(found, hashed(address, tmp_path))
    waiting.start()
    waiting.stop()
    names = [name for (name,) in rows_of(address, tmp_path, "id")]
    assert names[1:] == [other.request_id, f"{after.request_id}-0", f"{after.request_id}-1"]
    assert (counts.stored, counts.withheld, counts.dropped) == (3, 2, 0)


def test_who_was_never_there_gets_a_receipt_as_well(served: Served, address: str, tmp_path: Path) -> None:
    with logging_to(address, tmp_path) as (log, _):
        in_turn(log, requests(served, 1))
    with database(address, tmp_path) as found:
        receipt = erasing.erase(found, hashed(address, tmp_path))
    assert (receipt.predictions, receipt.feedback, receipt.sha256) == (0, 0, hashlib.sha256(b"").hexdigest())
    assert json.loads(json.dumps(receipt.document()))["at"].endswith("+00:00")
    assert len(rows_of(address, tmp_path, "id")) == 1


def test_bytes_that_somebody_reads_cannot_be_overwritten_and_that_is_said(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_PATIENCE_S", 0.05)
    file = tmp_path / "log.sqlite"
    with logging_to(file, tmp_path) as (log, _):
        in_turn(log, [observed(served, {"x": 1.0}, x_subject_id=SUBJECT)])
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM predictions").fetchone() == (1,)
        with (
            database(file, tmp_path, patience_s=0.05) as found,
            pytest.raises(
                LogUnavailable, match=r"^1 predictions were erased, but their bytes may still lie in the files: "
            ),
        ):
            erasing.erase(found, hashed(str(file), tmp_path))
    assert rows_of(file, tmp_path, "id") == []
