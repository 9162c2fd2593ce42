"""Expiry reminders on set-top boxes: settings, sweep, log. What people send to boxes by hand: :mod:`core.devices`."""
