"""Portal themes (contract chapter 30): those that are offered, and one for all accounts of a reseller."""

from dataclasses import asdict
from typing import Any

from compat.endpoints import Answer, Endpoints
from compat.fields import RequestModel, Text
from core.access.permissions import USE_THEMES
from core.errors import InvalidInput
from core.resellers.resellers import required_id
from core.resellers.rules import MISSING
from core.resellers.themes import Propagation, Theme, ThemeCounts, change_accounts_theme, offered_themes
from legacy_routes.forms import Number
from legacy_routes.gate import Call, by, having
from legacy_routes.warnings import warned

endpoints = Endpoints(chapter="30")


@endpoints.endpoint("get_themes", "GET", who=having(USE_THEMES))
def get_themes(call: Call) -> Answer:
    """The portal themes that can be chosen, the default first."""
    return {"themes": [_shown(theme) for theme in offered_themes(call.panel)]}


class ThemeForm(RequestModel):
    reseller_id: Number = None
    theme: Text = ""


@endpoints.endpoint("update_reseller_accounts_theme", "POST", who=having(USE_THEMES), model=ThemeForm)
def update_reseller_accounts_theme(call: Call, form: ThemeForm) -> Answer:
    """Give all accounts of a reseller a portal theme; long runs go on in the background."""
    reseller_id = required_id(form.reseller_id, missing=MISSING)
    if not form.theme:
        raise InvalidInput(MISSING)
    outcome = change_accounts_theme(call.panel, by(call), reseller_id, form.theme)
    return _bulk_outcome(outcome)


def edit_outcome(outcome: Propagation) -> dict[str, Any]:
    """The answer to a change of a reseller's own theme."""
    counts = outcome.counts
    if outcome.job_id is not None:
        return _going_on("Reseller updated.", outcome)
    if counts.failed:
        text = f"Reseller updated. Theme changed for {counts.updated}/{counts.total} accounts ({counts.failed} failed)."
        return {**warned(text), "err_msg": text}
    text = f"Reseller updated successfully. Theme changed for all {counts.total} accounts."
    return {**_warning(counts), "err_msg": text}


def _bulk_outcome(outcome: Propagation) -> dict[str, Any]:
    counts = outcome.counts
    if outcome.job_id is not None:
        return _going_on("", outcome)
    if counts.failed:
        text = f"Theme updated for {counts.updated}/{counts.total} accounts. {counts.failed} failed."
        return {**warned(text), "err_msg": text, "details": {**_numbers(counts), "errors": counts.errors}}
    text = f"Theme updated successfully for all {counts.total} accounts."
    return {**_warning(counts), "err_msg": text, "details": _numbers(counts)}


def _going_on(text: str, outcome: Propagation) -> dict[str, Any]:
    """The run takes longer than a browser waits: what it has done so far, and where to ask for the rest."""
    counts = outcome.counts
    done = counts.updated + counts.failed
    running = f"The theme is being changed in the background: {done} of {counts.total} accounts so far."
    text = f"{text} {running}".strip()
    return {"err_msg": text, "message": text, "pending": 1, "job_id": outcome.job_id, "details": _numbers(counts)}


def _numbers(counts: ThemeCounts) -> dict[str, int]:
    return {"total": counts.total, "updated": counts.updated, "failed": counts.failed}


def _warning(counts: ThemeCounts) -> dict[str, Any]:
    """Server 2 did not follow everywhere: worth a look, though server 1 decides."""
    return warned(f"Server 2 did not follow for {counts.lagging} accounts") if counts.lagging else {}


def _shown(theme: Theme) -> dict[str, Any]:
    shown = asdict(theme)
    return shown if theme.is_default else {name: shown[name] for name in ("id", "name")}
