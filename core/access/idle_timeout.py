"""What the panel's stored settings mean (table ``_app_settings``). Reading and writing them:
:mod:`core.access.auto_logout`.

Settings of the operator's file are in :mod:`core.config`. Source: contract chapter 10 §2.5 and §4.7.
"""

AUTO_LOGOUT_KEY = "auto_logout_timeout"
AUTO_LOGOUT_DEFAULT = 5
AUTO_LOGOUT_MAX = 60


def auto_logout_minutes(stored: str | None) -> int:
    """Minutes of the stored text; 0 is off, anything unusable is the default."""
    text = (stored or "").strip()
    if not text.isascii() or not text.isdigit() or int(text) > AUTO_LOGOUT_MAX:
        return AUTO_LOGOUT_DEFAULT
    return int(text)
