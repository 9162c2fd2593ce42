"""Creating an account on one portal server: whether it is there in the end, and boxes that were plugged in first.

A stock portal makes a user of every box that it meets, without a login (90 §13 M2): such a user is adopted, since a
second one with its MAC cannot be created. Source: contract chapter 90 §6, §10.7 and §13 M2, M8.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from time import sleep

from core.portal.accounts import NewPortalAccount, PortalAccount
from core.portal.errors import (
    Outcome,
    PortalError,
    PortalHttpStatus,
    PortalInvalidAnswer,
    PortalLoginTaken,
    PortalMacTaken,
    PortalRefused,
)
from core.portal.wire.asking import Asking
from core.portal.wire.deadline import within_deadline
from core.portal.wire.identifiers import required_mac, segment
from core.values.escaping import quotable

log = logging.getLogger(__name__)

_GATEWAY_FAILURES = (502, 503, 504)


def create(portal: Asking, account: NewPortalAccount, adopting: Callable[[], None]) -> None:
    """As :meth:`core.portal.server.PortalServer.create_account`."""
    call = portal.call("create account", "POST", "accounts/", account.fields())
    try:
        try:
            portal.do(call)
        except PortalError as error:
            if error.outcome is not Outcome.UNKNOWN:
                raise
            _look_for(portal, account, error)
    except PortalMacTaken as taken:
        _adopt(portal, account, taken, adopting)


def release(portal: Asking, account: NewPortalAccount) -> None:
    """Give an adopted box back: the user without login that it was, where ``account`` has it."""
    path = f"accounts/{segment(required_mac(account.mac))}"
    blank = {"login": "", "full_name": "", "phone": "", "account_number": "", "comment": ""}
    portal.do(portal.call("release box", "PUT", path, blank, repeatable=True))


def _adopt(portal: Asking, account: NewPortalAccount, taken: PortalMacTaken, adopting: Callable[[], None]) -> None:
    """Make ``account`` of the one user without login that has its MAC. Raises PortalMacTaken, naming who has it."""
    path = f"accounts/{segment(required_mac(account.mac))}"
    try:
        holders = portal.accounts_by_mac(required_mac(account.mac))
    except PortalError:
        raise taken from None
    if len(holders) != 1 or holders[0].login:
        raise _taken_by(holders, taken)
    if portal.account_by_login(account.login) is not None:
        raise PortalLoginTaken
    adopting()
    # a portal carries out status, password and the rest one after the other: the login comes with the last of them
    portal.do(portal.call("adopt box, password", "PUT", path, {"password": account.password}, repeatable=True))
    call = portal.call("adopt box", "PUT", path, account.adopting_fields(), repeatable=True)
    try:
        try:
            portal.do(call)
        except PortalError as error:
            if error.outcome is not Outcome.UNKNOWN:
                raise
            _look_for(portal, account, error, box_is_there=True)
    except PortalError as error:
        if error.outcome is Outcome.NOT_DONE and holders[0].status != account.status:
            _switch_back(portal, path, holders[0])
        raise
    log.info("portal %s: an account was made of a box that was plugged in before", portal.name)


def _switch_back(portal: Asking, path: str, box: PortalAccount) -> None:
    """A portal sets the status before it refuses the rest."""
    with suppress(PortalError):
        portal.do(portal.call("set status", "PUT", path, {"status": "1" if box.status else "0"}, repeatable=True))


def _taken_by(holders: list[PortalAccount], taken: PortalMacTaken) -> PortalMacTaken:
    names = ", ".join(quotable(holder.login) for holder in holders if holder.login)
    text = f"{taken.default_text} at the portal by {names or 'several boxes without login'}"
    found = PortalMacTaken(text if holders else None)
    found.server = taken.server
    return found


def _look_for(portal: Asking, account: NewPortalAccount, failure: PortalError, *, box_is_there: bool = False) -> None:
    """Whether the creation that ended in ``failure`` took place: returns if so, else raises."""
    late = _may_still_run(failure)
    try:
        created = _is_there(portal, account, box_is_there)
        if not created and late:
            sleep(within_deadline(portal.settings.settle_seconds))
            created = _is_there(portal, account, box_is_there)
    except (PortalMacTaken, PortalLoginTaken) as error:
        error.server = portal.name
        raise
    except PortalError:
        raise failure from None
    if not created:
        failure.outcome = Outcome.NOT_SEEN if late else Outcome.NOT_DONE
        raise failure
    log.warning("portal %s: create account: it is there although the call failed", portal.name)


def _is_there(portal: Asking, account: NewPortalAccount, box_is_there: bool) -> bool:
    """Raises PortalMacTaken or PortalLoginTaken when another account stands in its way."""
    same_mac = portal.accounts_by_mac(required_mac(account.mac))
    if any(account.is_stored_as(found) for found in same_mac):
        return True
    if any(found.login for found in same_mac) or (same_mac and not box_is_there):
        raise PortalMacTaken
    same_login = portal.account_by_login(account.login)
    # which may be the created one: it came between the two looks
    if same_login is not None and not account.is_stored_as(same_login):
        raise PortalLoginTaken
    return same_login is not None


def _may_still_run(failure: PortalError) -> bool:
    """Whether the portal may still be at work on a call that ended so for us."""
    if isinstance(failure, PortalHttpStatus):
        return failure.http_status in _GATEWAY_FAILURES
    return not isinstance(failure, PortalInvalidAnswer | PortalRefused)
