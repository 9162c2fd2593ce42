"""Passwords, throttle, keys and sealing. Who may do what: :mod:`core.access`."""
