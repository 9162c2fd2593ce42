"""Request models that endpoints of several chapters share."""

from typing import Annotated

import orjson
from pydantic import BeforeValidator, Field

from compat.fields import RequestModel, to_integer, to_text, trimmed

# what the databases' id columns hold
_LARGEST_ID = 2**31 - 1


def _id(value: object) -> int | None:
    number = to_integer(value)
    if number is not None and abs(number) > _LARGEST_ID:
        raise ValueError("there is no such number")
    return number


def _present_text(value: object) -> str | None:
    return None if value is None else trimmed(value)


Number = Annotated[int | None, BeforeValidator(to_integer)]
Id = Annotated[int | None, BeforeValidator(_id)]
# in a model that keeps empty fields: None is absent, "" was sent
Present = Annotated[str | None, BeforeValidator(_present_text)]


def _sees_all(value: object) -> bool:
    return value is True or to_text(value or "") in ("true", "1")


class ViewForm(RequestModel):
    """``viewAllAccounts``: ``true`` and ``1`` count, anything else is no (contract README)."""

    view_all: Annotated[bool, BeforeValidator(_sees_all)] = Field(False, validation_alias="viewAllAccounts")


def _page_number(value: object) -> int:
    """As PHP reads a number of a page: what is none counts as 0, which is then brought into bounds."""
    try:
        return to_integer(value) or 0
    except ValueError:
        return 0


def _chosen_ids(value: object) -> list[int]:
    """Ids from a list, JSON text of one, ``1,2,3`` or a single id; what is no id is left out, and each stands once."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = str(value).split(",")
    if isinstance(value, dict):
        value = list(value.values())
    ids = (_id_or_none(item) for item in (value if isinstance(value, list) else [value]))
    return list(dict.fromkeys(item for item in ids if item))


def _id_or_none(value: object) -> int | None:
    """None also for a boolean, which is no id."""
    try:
        number = None if isinstance(value, bool) else _id(value)
    except ValueError:
        return None
    return number if number is not None and number > 0 else None


ChosenIds = Annotated[list[int], BeforeValidator(_chosen_ids)]
PageNumber = Annotated[int, BeforeValidator(_page_number)]
