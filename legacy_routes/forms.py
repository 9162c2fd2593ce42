"""Request models that endpoints of several chapters share."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from compat.fields import RequestModel, to_integer, to_text

# what the databases' id columns hold
_LARGEST_ID = 2**31 - 1


def _id(value: object) -> int | None:
    number = to_integer(value)
    if number is not None and abs(number) > _LARGEST_ID:
        raise ValueError("there is no such number")
    return number


Number = Annotated[int | None, BeforeValidator(to_integer)]
Id = Annotated[int | None, BeforeValidator(_id)]


class ViewForm(RequestModel):
    """``viewAllAccounts``: ``true`` and ``1`` count, anything else is no (contract README)."""

    view_all: Annotated[bool, BeforeValidator(lambda value: to_text(value) in ("true", "1"))] = Field(
        False, validation_alias="viewAllAccounts"
    )
