"""Users, demo data and the portal servers' settings, for administrators. Resellers: :mod:`core.resellers`."""
