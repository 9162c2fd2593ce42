"""What mod_wsgi loads: the server, with the configuration that mod_wsgi has no other way to name."""

import os

os.environ.setdefault("SHOWBOX_CONFIG", "/etc/showbox/config.ini")

from wsgi import application  # noqa: E402

__all__ = ["application"]
