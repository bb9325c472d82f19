"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

_NUMBERED = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "predictions",
        sa.Column("key", _NUMBERED, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("latency_us", sa.BigInteger, nullable=False),
        sa.Column("prediction", sa.Text, nullable=False),
        sa.Column("scores", sa.Text),
        sa.Column("inputs", sa.Text),
        sa.Column("inputs_hash", sa.Text),
        sa.Column("warnings", sa.Text),
        sa.Column("caller", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("gone", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_predictions"),
        sa.UniqueConstraint("id", name="uq_predictions_id"),
    )
    op.create_index("ix_predictions_model_at", "predictions", ["model", "at"])
    there = sa.text("subject IS NOT NULL")
    op.create_index("ix_predictions_subject", "predictions", ["subject"], sqlite_where=there, postgresql_where=there)
    op.create_table(
        "feedback",
        sa.Column("prediction_id", _ID, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("truth", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("prediction_id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_received", "feedback", ["received"])
    op.create_table(
        "field_counts",
        sa.Column("key", _NUMBERED, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_field_counts"),
        sa.UniqueConstraint("worker", "model", "version", "began", name="uq_field_counts_worker_model_version_began"),
    )
    op.create_index("ix_field_counts_model_ended", "field_counts", ["model", "ended"])
    op.create_table(
        "erasures",
        sa.Column("key", _NUMBERED, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("subject_hash", sa.Text, nullable=False),
        sa.Column("predictions", sa.Integer, nullable=False),
        sa.Column("feedback", sa.Integer, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_erasures"),
    )
    op.create_index("ix_erasures_subject_hash", "erasures", ["subject_hash"])
