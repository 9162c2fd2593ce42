"""Expiry reminders on set-top boxes: settings, sweep, log."""
