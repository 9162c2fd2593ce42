"""Dumps of the panel's data in MySQL's dialect: written and read by our own code, never by executing one. Copying
from database to database: :mod:`core.moving`."""
