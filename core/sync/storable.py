"""The portal's list as this database can keep it: an older panel's tables lack characters that a portal has.

Names are stored in the replacement form; an account whose login cannot be stored as it is would be another account, and
is left out and told by name. Source: contract chapter 60 S8.
"""

from dataclasses import replace

from core.panel import Panel
from core.portal import PortalAccount, PortalAccountList
from core.storage.tables import Account
from core.storage.tables.texts import UnstorableText, fitting


def storable(panel: Panel, listed: PortalAccountList) -> PortalAccountList:
    """``listed`` without the accounts that cannot be stored, whose logins are in ``unstorable``."""
    for account in listed.accounts:
        if not account.email.isascii():
            _keep_mail(panel, account)
    unstorable = [account for account in listed.accounts if not _is_fitted(panel, account)]
    if not unstorable:
        return listed
    left_out = set(map(id, unstorable))
    return replace(
        listed,
        accounts=[account for account in listed.accounts if id(account) not in left_out],
        skipped=listed.skipped + len(unstorable),
        unstorable=tuple(account.login for account in unstorable),
    )


def _is_fitted(panel: Panel, account: PortalAccount) -> bool:
    """Give the account the texts that are stored; False where its login has none."""
    if account.login.isascii() and account.full_name.isascii() and account.tariff_plan.isascii():
        # as for most accounts at most times
        return True
    dialect = panel.database.engine.dialect
    try:
        fitting(dialect, Account, {"username": account.login, "mac": account.mac})
    except UnstorableText:
        return False
    texts = fitting(dialect, Account, {"full_name": account.full_name, "tariff_plan": account.tariff_plan})
    account.full_name, account.tariff_plan = texts["full_name"], texts["tariff_plan"]
    return True


def _keep_mail(panel: Panel, account: PortalAccount) -> None:
    """An address that cannot be stored is none that was told."""
    try:
        fitting(panel.database.engine.dialect, Account, {"email": account.email})
    except UnstorableText:
        account.has_email = False
