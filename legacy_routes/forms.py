"""Request models that endpoints of several chapters share."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from compat.fields import RequestModel, to_integer, to_text, trimmed


def _present_text(value: object) -> str | None:
    return None if value is None else trimmed(value)


Number = Annotated[int | None, BeforeValidator(to_integer)]
# in a model that keeps empty fields: None is absent, "" was sent
Present = Annotated[str | None, BeforeValidator(_present_text)]


class ViewForm(RequestModel):
    """``viewAllAccounts``: ``true`` and ``1`` count, anything else is no (contract README)."""

    view_all: Annotated[bool, BeforeValidator(lambda value: to_text(value) in ("true", "1"))] = Field(
        False, validation_alias="viewAllAccounts"
    )


def _page_number(value: object) -> int:
    """As PHP reads a number of a page: what is none counts as 0, which is then brought into bounds."""
    try:
        return to_integer(value) or 0
    except ValueError:
        return 0


PageNumber = Annotated[int, BeforeValidator(_page_number)]
