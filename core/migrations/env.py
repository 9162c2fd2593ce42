"""Alembic's entry: runs revisions over the connection that :mod:`core.schema` hands in, inside its transaction."""

from alembic import context

from core.migrations.additive import VERSION_TABLE
from core.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
