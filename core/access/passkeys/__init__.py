"""Passkeys: registering them, logging in with them, and the checks of what browsers send. Sessions and rights:
:mod:`core.access`."""
