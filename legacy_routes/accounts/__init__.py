"""Subscriber accounts, and their sync with the portal. Their set-top boxes: :mod:`legacy_routes.devices`."""
