"""The settings of the portal servers, for super admins (contract chapter 50)."""

from typing import Annotated

from pydantic import BeforeValidator

from compat.endpoints import WAITS, Answer, Endpoints
from compat.fields import RawText, RequestModel, Text, flag_word
from core.access.permissions import CHANGE_PORTAL_SETTINGS, READ_PORTAL_SETTINGS
from core.administration.portal_servers import PLACEHOLDER, Wish, change_settings, read_settings
from legacy_routes.gate import Call, by, caller, having

endpoints = Endpoints(chapter="50")


def _switch(value: object) -> bool | None:
    """Only 1 is on; absent and empty is None."""
    word = "0" if value is False else flag_word(value)
    return word == "1" if word else None


Switch = Annotated[bool | None, BeforeValidator(_switch)]


@endpoints.endpoint("get_stalker_settings", "GET", who=having(READ_PORTAL_SETTINGS))
def get_stalker_settings(call: Call) -> Answer:
    """The settings in force; the password only as asterisks."""
    settings = read_settings(call.panel, caller(call))
    return {
        "settings": {
            "server_address": settings.server_address,
            "server_2_address": settings.server_2_address,
            "api_username": settings.username,
            "api_password": PLACEHOLDER if settings.has_password else "",
            "api_base_url": settings.api_base_url,
            "api_2_base_url": settings.api_2_base_url,
            "dual_server_mode_enabled": settings.dual,
        }
    }


class SettingsForm(RequestModel):
    server_address: Text = ""
    server_2_address: Text = ""
    api_username: Text = ""
    api_password: RawText = ""
    api_base_url: Text = ""
    api_2_base_url: Text = ""
    dual_server_mode_enabled: Switch = None
    test_connection: Switch = None


@endpoints.endpoint(
    "update_stalker_settings", "POST", who=having(CHANGE_PORTAL_SETTINGS), model=SettingsForm, manners=WAITS
)
def update_stalker_settings(call: Call, form: SettingsForm) -> Answer:
    """Save the settings, tested before if wished; the Test button only tests."""
    wish = Wish(
        server_address=form.server_address,
        server_2_address=form.server_2_address,
        username=form.api_username,
        password=form.api_password,
        api_base_url=form.api_base_url,
        api_2_base_url=form.api_2_base_url,
        dual=form.dual_server_mode_enabled,
        test=form.test_connection is True,
    )
    change_settings(call.panel, by(call), wish)
    return {"message": _done(wish), "err_msg": ""}


def _done(wish: Wish) -> str:
    if wish.only_test:
        return "Connection test successful"
    return "Settings saved successfully" + (", connection test successful" if wish.test else "")
