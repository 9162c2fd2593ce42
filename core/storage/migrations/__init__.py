"""The schema's revisions (Alembic) and what they are made of; when they run is decided in
:mod:`core.storage.schema`."""
