"""What Alembic runs: the steps, in the transaction of whoever opens the database."""

from __future__ import annotations

from alembic import context

from serving.prediction_log.database.tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
context.run_migrations()
