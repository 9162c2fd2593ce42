"""Logging in, with passkeys as well; sessions, one's own data, and the audit log. Who may pass elsewhere:
:mod:`legacy_routes.gate`."""
