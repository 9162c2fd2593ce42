"""The database: its connection, schema, tables and migrations. No business rule."""
