"""For super admins: the settings of the portal servers, backup and restore. Resellers:
:mod:`legacy_routes.resellers`."""
