"""Alembic's entry: runs revisions over the connection that :mod:`core.storage.schema` hands in, inside its
transaction."""

from alembic import context

from core.storage.migrations.additive import VERSION_TABLE
from core.storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
