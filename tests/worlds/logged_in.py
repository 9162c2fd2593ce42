"""Clients of users who are logged in already: a login is few tests' subject, and costs as much as five requests."""

import itertools

from tests.worlds.harness import Client, World, php_encode

_numbers = itertools.count()


def logged_in(world: World, username: str) -> Client:
    """A client with a session of its own, as PHP would have written it; where sessions are no files, by a login."""
    if world.config.session.store != "php-files":
        return world.client(username)
    content = php_encode({"login": 1, "username": username})
    return world.php_session(content, f"{next(_numbers):026d}")
