"""The list of all accounts of one portal server, for as little of its time as it takes.

``accounts/`` costs a stock portal several statements for each account, half a minute and more for thousands; ``stb/``
tells login, MAC, status and end of all of them in one. So the boxes are listed first, and the rest is asked for in
small batches, of those accounts only that are new or differ from an earlier list. Source: contract chapter 90 §13 M1,
M3, M10, M11.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from core.portal.accounts import PortalAccount, PortalAccountList, account_of, accounts_of
from core.portal.errors import (
    PortalAccountNotFound,
    PortalAuthentication,
    PortalError,
    PortalHttpStatus,
    PortalInvalidAnswer,
    PortalInvalidInput,
    PortalSwitchedOff,
    PortalTimeout,
    PortalUnreachable,
)
from core.portal.wire.answers import results_of
from core.portal.wire.asking import Asking
from core.portal.wire.identifiers import required_login, segment
from core.portal.wire.values import records_with, text_of
from core.values.macs import normal_mac

# of one path: 400 MACs are too long for a web server
BATCH = 50
# so few are asked for whole: their names and tariffs are always as new as their boxes
FEW = 200
_MOST_BROKEN = 20
# details had, and details asked for
Report = Callable[[int, int], object]
_NO_ANSWER = (PortalUnreachable, PortalTimeout, PortalAuthentication, PortalSwitchedOff)


def list_accounts(portal: Asking, known: Sequence[PortalAccount] | None, report: Report) -> PortalAccountList:
    """Every account; ``known``: those of an earlier list, whose details are good enough where the box has not changed
    (None: all details are asked for). ``report``: told after each of many questions. Raises PortalError."""
    until = monotonic() + portal.settings.list_seconds
    boxes = _boxes(portal)
    if not boxes:
        return _whole(portal)
    if len(boxes) <= FEW:
        try:
            return _whole(portal)
        except PortalInvalidAnswer as error:
            # one broken row empties the list of all
            return _in_batches(portal, boxes, {}, until, report, error)
    by_mac = {account.mac: account for account in known or ()}
    return _in_batches(portal, boxes, by_mac, until, report, None)


def _whole(portal: Asking) -> PortalAccountList:
    call = portal.list_call("list accounts", "accounts/")
    return portal.ask(call, lambda answer, writing: accounts_of(results_of(answer, writing), portal.settings.zone))


@dataclass(slots=True)
class _Box:
    """``spelled``: the MAC as the portal has it; ``account``: as far as ``stb/`` tells it."""

    spelled: str
    account: PortalAccount


def _boxes(portal: Asking) -> list[_Box]:
    """Empty also where a portal has no such list."""
    try:
        records = portal.ask(
            portal.list_call("list boxes", "stb/"),
            # boxes without their addresses are no list of boxes: then the accounts themselves are asked for
            lambda answer, writing: records_with(results_of(answer, writing), "mac"),
        )
    except _NO_ANSWER:
        raise
    except PortalError:
        return []
    found = []
    for record in records:
        if not isinstance(record, dict):
            continue
        spelled = text_of(record.get("mac"))
        named = {"stb_mac": spelled, "account_number": record.get("ls")}
        account = account_of({**record, **named}, portal.settings.zone)
        if account is not None:
            # name, tariff and phone are not told
            account.has_phone, account.is_fresh = False, False
            found.append(_Box(spelled, account))
    return found


def _in_batches(
    portal: Asking,
    boxes: Sequence[_Box],
    known: Mapping[str, PortalAccount],
    until: float,
    report: Report,
    failure: PortalError | None,
) -> PortalAccountList:
    """``failure``: of the whole list, told when no detail can be had either."""
    usable = [box for box in boxes if box.account.login and box.account.mac]
    accounts: dict[int, PortalAccount] = {}
    wanted: dict[str, list[int]] = {}
    by_login: list[int] = []
    for number, box in enumerate(usable):
        earlier = known.get(box.account.mac)
        if earlier is not None and _is_same(earlier, box.account):
            earlier.is_fresh = False
            accounts[number] = earlier
        elif normal_mac(box.spelled) == box.spelled:
            wanted.setdefault(box.spelled, []).append(number)
        else:
            by_login.append(number)
    asked = _Details(portal, until)
    macs = list(wanted)
    for start in range(0, len(macs), BATCH):
        asked.by_mac(macs[start : start + BATCH])
        report(min(start + BATCH, len(macs)), len(macs))
    for number in by_login:
        asked.by_login(usable[number].account)
    if asked.last_failure is not None and not asked.found and not accounts:
        raise failure or asked.last_failure
    broken = []
    for number in sorted({*by_login, *(number for numbers in wanted.values() for number in numbers)}):
        told = usable[number].account
        details = asked.of(told)
        if details is not None:
            accounts[number] = details
        elif not asked.is_gone(told):
            broken.append(told.login)
            accounts[number] = told
    listed = [accounts[number] for number in sorted(accounts)]
    return PortalAccountList(listed, skipped=len(boxes) - len(usable), broken=tuple(broken), is_whole=not known)


def _is_same(earlier: PortalAccount, box: PortalAccount) -> bool:
    return (
        earlier.login == box.login
        and earlier.account_number == box.account_number
        and earlier.status == box.status
        and (earlier.has_end_date, earlier.end_date) == (box.has_end_date, box.end_date)
        and earlier.unreadable_date == box.unreadable_date
    )


class _Details:
    """What ``accounts/`` and ``users/`` tell of single accounts, gathered; ``until``: when there is no more time."""

    def __init__(self, portal: Asking, until: float) -> None:
        self._portal = portal
        self._until = until
        self.found: dict[tuple[str, str], PortalAccount] = {}
        self.gone: set[tuple[str, str]] = set()
        self.gone_macs: set[str] = set()
        self.last_failure: PortalError | None = None
        self._broken = 0

    def of(self, box: PortalAccount) -> PortalAccount | None:
        return self.found.get((box.mac, box.login.casefold()))

    def is_gone(self, box: PortalAccount) -> bool:
        """Whether it was deleted between the two questions."""
        return (box.mac, box.login) in self.gone or box.mac in self.gone_macs

    def by_mac(self, macs: Sequence[str]) -> None:
        """Halved until what cannot be told is alone: a row that the portal cannot write (M10), or a vanished one."""
        try:
            self._keep(self._ask("accounts/" + ",".join(map(segment, macs))))
        except (PortalInvalidAnswer, PortalInvalidInput, PortalAccountNotFound, PortalHttpStatus) as error:
            if len(macs) > 1:
                middle = len(macs) // 2
                self.by_mac(macs[:middle])
                self.by_mac(macs[middle:])
            elif isinstance(error, PortalAccountNotFound):
                self.gone_macs.update(macs)
            else:
                self._one_more_broken(error)

    def by_login(self, box: PortalAccount) -> None:
        """Of a MAC in a spelling by which ``accounts/`` does not find it (M11)."""
        try:
            self._keep(self._ask(f"users/{segment(required_login(box.login))}"))
        except PortalAccountNotFound:
            self.gone.add((box.mac, box.login))
        except (PortalInvalidAnswer, PortalInvalidInput) as error:
            self._one_more_broken(error)

    def _one_more_broken(self, error: PortalError) -> None:
        """A few broken rows are the rows' fault, more are the portal's, as is whatever is no broken answer."""
        self._broken += 1
        self.last_failure = error
        if self._broken > _MOST_BROKEN or isinstance(error, PortalHttpStatus):
            raise error

    def _keep(self, accounts: Sequence[PortalAccount]) -> None:
        for account in accounts:
            self.found.setdefault((account.mac, account.login.casefold()), account)

    def _ask(self, path: str) -> list[PortalAccount]:
        if monotonic() >= self._until:
            raise PortalTimeout
        zone = self._portal.settings.zone
        call = replace(self._portal.call("list details", "GET", path), seconds=self._portal.settings.list_seconds)
        return self._portal.ask(call, lambda answer, writing: accounts_of(results_of(answer, writing), zone).accounts)
