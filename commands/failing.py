"""How a command refuses: one sentence and exit code 1, no stack trace."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from core.errors import PanelError


def failing_clearly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A refusal of the business is one sentence and exit code 1, no stack trace."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except PanelError as error:
            raise click.ClickException(error.text) from None

    return run
