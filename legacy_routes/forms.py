"""Request models that endpoints of several chapters share."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from compat.fields import RequestModel, to_text


class ViewForm(RequestModel):
    """``viewAllAccounts``: ``true`` and ``1`` count, anything else is no (contract README)."""

    view_all: Annotated[bool, BeforeValidator(lambda value: to_text(value) in ("true", "1"))] = Field(
        False, validation_alias="viewAllAccounts"
    )
