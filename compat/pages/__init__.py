"""The pages of a panel frontend: static files, the rendered dashboard, our own welcome page. No routes, no sessions."""

from compat.pages.static_host import Frontend

__all__ = ["Frontend"]
