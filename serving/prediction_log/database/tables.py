"""The tables. Moments are microseconds since 1970 in UTC; JSON is a text without NUL or lone surrogates.

Who changes one adds a migration, and names it as the HEAD: a test holds the two together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

HEAD = "1"
"""The migration that makes the tables as they are here."""
VERSION_TABLE = "lectern_log_version"

NAMES = {"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"}
METADATA = MetaData(naming_convention=NAMES)
_NUMBERED = BigInteger().with_variant(Integer, "sqlite")  # the type that SQLite counts up by itself
_ID = Text().with_variant(Text(collation="C"), "postgresql")  # sorted by its bytes, as everywhere else

PREDICTIONS = Table(
    "predictions",
    METADATA,
    Column("key", _NUMBERED, primary_key=True),
    Column("id", _ID, nullable=False, unique=True),  # as the caller got it
    Column("at", BigInteger, nullable=False),  # when the answer was ready
    Column("model", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("alias", Text, nullable=False),  # empty where the version was named
    Column("latency_us", BigInteger, nullable=False),  # of the whole request
    Column("prediction", Text, nullable=False),  # JSON
    Column("scores", Text),  # JSON: {class: share or decision value}, or one decision value
    Column("inputs", Text),  # JSON: {field: value}, without the sensitive fields
    Column("inputs_hash", Text),
    Column("warnings", Text),  # JSON: {field: kind of warning}
    Column("caller", Text),
    Column("subject", Text),  # keyed hash of X-Subject-Id
    Column("gone", Boolean, nullable=False),  # its caller left before the answer it belongs to had gone out
    Index("ix_predictions_model_at", "model", "at"),
    Index(
        "ix_predictions_subject",
        "subject",
        sqlite_where=text("subject IS NOT NULL"),
        postgresql_where=text("subject IS NOT NULL"),
    ),
)
"""One row per answered row."""

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("prediction_id", _ID, primary_key=True),
    Column("at", BigInteger, nullable=False),  # when the truth became known, as the sender says; else when it came
    Column("received", BigInteger, nullable=False),
    Column("truth", Text, nullable=False),  # JSON
    Index("ix_feedback_received", "received"),
)
"""The truth about a prediction, which need not be in the log (yet)."""

FIELD_COUNTS = Table(
    "field_counts",
    METADATA,
    Column("key", _NUMBERED, primary_key=True),
    Column("model", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("counts", Text, nullable=False),  # JSON
    UniqueConstraint("worker", "model", "version", "began"),  # written again after an unclear commit, it is there once
    Index("ix_field_counts_model_ended", "model", "ended"),
)
"""What drift counted of the rows between two moments."""

ERASURES = Table(
    "erasures",
    METADATA,
    Column("key", _NUMBERED, primary_key=True),
    Column("at", BigInteger, nullable=False),  # no row of the subject that is older is ever written again
    Column("subject_hash", Text, nullable=False),
    Column("predictions", Integer, nullable=False),
    Column("feedback", Integer, nullable=False),
    Column("sha256", Text, nullable=False),  # of the sorted ids that were erased, one a line
    Index("ix_erasures_subject_hash", "subject_hash"),
)
"""Who was erased, and when."""

VERSION = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own, under a name of ours: the database may be shared."""
