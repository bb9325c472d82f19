"""Erasing: all that the log has of a subject goes, also from the bytes of its file; a receipt stays.

The receipt is what keeps rows out that were answered before and still wait to be written, in whichever process.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, select, text

from contract.errors import LogUnavailable
from serving.prediction_log.database.engine import Database
from serving.prediction_log.database.tables import ERASURES, FEEDBACK, PREDICTIONS

_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Receipt:
    """What was erased."""

    at: int
    """When, in microseconds since 1970."""
    subject_hash: str
    predictions: int
    feedback: int
    sha256: str
    """Of the sorted ids, each with a line break behind it."""

    def document(self) -> dict[str, Any]:
        """The receipt as it is handed out."""
        return asdict(self) | {"at": datetime.fromtimestamp(self.at / 1e6, UTC).isoformat()}


def erase(database: Database, subject: str) -> Receipt:
    """Erase a subject, given as the log has it: hashed.

    Raises:
        LogUnavailable: nothing was erased; or it was, and its bytes could not be overwritten, as the message says.
    """
    of, columns = PREDICTIONS.c, FEEDBACK.c
    with database.writing() as connection:
        if not database.is_sqlite:  # there is no other writer on SQLite
            connection.execute(text(f"LOCK TABLE {PREDICTIONS.name} IN SHARE ROW EXCLUSIVE MODE"))
        now = int(time.time() * 1e6)
        ids = connection.execute(select(of.id).where(of.subject == subject)).scalars()
        sha256 = hashlib.sha256("".join(f"{name}\n" for name in sorted(ids)).encode()).hexdigest()
        theirs = select(of.id).where(of.subject == subject)
        feedback = connection.execute(delete(FEEDBACK).where(columns.prediction_id.in_(theirs))).rowcount
        predictions = connection.execute(delete(PREDICTIONS).where(of.subject == subject)).rowcount
        receipt = Receipt(now, subject, predictions, feedback, sha256)
        connection.execute(insert(ERASURES).values(asdict(receipt)))
    try:
        overwrite(database)
    except LogUnavailable as error:
        raise LogUnavailable(
            f"{receipt.predictions} predictions were erased, but their bytes may still lie in the files: {error}. "
            "Erase the subject again when nobody uses the log for long."
        ) from error
    return receipt


def overwrite(database: Database) -> None:
    """Have nothing in the files of the log but what is in its tables.

    Raises:
        LogUnavailable: somebody else uses it for too long.
    """
    with database.apart() as cursor:
        if not database.is_sqlite:
            for table in (PREDICTIONS, FEEDBACK):
                cursor.execute(f"VACUUM (FULL) {table.name}")
            return
        deadline = time.monotonic() + _PATIENCE_S
        cursor.execute("VACUUM")
        while cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:  # somebody reads or writes at the moment
            if time.monotonic() > deadline:
                raise LogUnavailable(f"{database.place.file}-wal was in use for {_PATIENCE_S:g} s")
