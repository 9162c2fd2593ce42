"""Measures the panel against a bare Flask application (``python -m bench``); nothing of it runs in production."""
