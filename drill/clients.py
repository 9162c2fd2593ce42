"""The clients of the drill: each works on accounts of its own and keeps what it was promised."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import requests

from core.accounts.remove import DOUBTFUL
from core.errors import CommitUncertain
from drill.ground import BOSS, PASSWORD, PLAN

_SECONDS = 40
# what failures say that may have done something
_UNSURE = (CommitUncertain.default_text, DOUBTFUL)


@dataclass
class Expected:
    """An account as its client knows it: ``exists`` and ``status`` None: not told. ``sales``: paid for certain, and
    possibly."""

    mac: str
    exists: bool | None = False
    status: int | None = None
    sales: int = 0
    unsure_sales: int = 0


@dataclass
class Client:
    """One thread's worth of work: ``username`` logs in at either server, whatever was killed."""

    number: int
    username: str
    urls: list[str]
    random: random.Random
    accounts: dict[str, Expected] = field(default_factory=dict)
    credit: int = 0
    unsure_credit: list[int] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    @property
    def is_boss(self) -> bool:
        return self.username == BOSS

    def run(self, stopped: threading.Event, boss_of: str | None) -> None:
        """Until ``stopped``; ``boss_of``: the seller id whose credit this client moves."""
        session: requests.Session | None = None
        while not stopped.is_set():
            url = self.random.choice(self.urls)
            if session is None:
                session = self._login(url)
                if session is None:
                    time.sleep(0.1)
                    continue
            if not self._act(session, url, boss_of):
                session = None
            time.sleep(0.005)

    def _login(self, url: str) -> requests.Session | None:
        session = requests.Session()
        answer = self._post(session, url, "login", username=self.username, password=PASSWORD)
        return session if answer is not None and answer["error"] == 0 else None

    def _post(self, session: requests.Session, url: str, endpoint: str, **fields: Any) -> dict[str, Any] | None:
        """The answer; None when there is none."""
        try:
            response = session.post(f"{url}/{endpoint}.php", data=fields, timeout=_SECONDS)
            answer: dict[str, Any] = response.json()
        except (requests.RequestException, ValueError):
            self.counts["no answer"] += 1
            return None
        if response.status_code == 500:
            self.complaints.append(f"{endpoint}: 500 {answer}")
        self.counts["answered"] += 1
        self.counts[f"{endpoint}: {'done' if answer['error'] == 0 else 'refused'}"] += 1
        return answer

    def _act(self, session: requests.Session, url: str, boss_of: str | None) -> bool:
        """Whether the session may go on."""
        if boss_of is not None and self.random.random() < 0.5:
            return self._move_credit(session, url, boss_of)
        if self.is_boss and self.random.random() < 0.1:
            return _is_logged_in(self._post(session, url, "sync_accounts"))
        known = [name for name, account in self.accounts.items() if account.exists]
        choice = self.random.random()
        if not known or choice < 0.3:
            return self._add(session, url)
        name = self.random.choice(known)
        if choice < 0.6:
            return self._renew(session, url, name)
        if choice < 0.75:
            return self._switch(session, url, name)
        if choice < 0.9:
            return self._remove(session, url, name)
        answer = self._post(session, url, "send_stb_message", mac=self.accounts[name].mac, message="Hello")
        return _is_logged_in(answer)

    def _add(self, session: requests.Session, url: str) -> bool:
        number = len(self.accounts)
        name = f"c{self.number}n{number}"
        mac = f"00:1A:79:{self.number:02X}:{number >> 8:02X}:{number & 255:02X}"
        account = self.accounts[name] = Expected(mac)
        fields = {"username": name, "mac": mac, "password": "pw-secret", "name": name, "plan": PLAN, "status": 1}
        answer = self._post(session, url, "add_account", **fields)
        if _is_unsure(answer):
            account.exists, account.unsure_sales = None, 1
        elif answer is not None and answer["error"] == 0:
            account.exists, account.status, account.sales = True, 1, 1
        return _is_logged_in(answer)

    def _renew(self, session: requests.Session, url: str, name: str) -> bool:
        answer = self._post(session, url, "edit_account", original_username=name, plan=PLAN)
        if self.is_boss:
            # who owns all pays nothing, and no row is written
            return _is_logged_in(answer)
        if _is_unsure(answer):
            self.accounts[name].unsure_sales += 1
        elif answer is not None and answer["error"] == 0:
            self.accounts[name].sales += 1
        return _is_logged_in(answer)

    def _switch(self, session: requests.Session, url: str, name: str) -> bool:
        status = self.random.randrange(2)
        answer = self._post(session, url, "toggle_account_status", username=name, status=status)
        if _is_unsure(answer):
            self.accounts[name].status = None
        elif answer is not None and answer["error"] == 0:
            self.accounts[name].status = status
        return _is_logged_in(answer)

    def _remove(self, session: requests.Session, url: str, name: str) -> bool:
        answer = self._post(session, url, "remove_account", id=name)
        if _is_unsure(answer):
            self.accounts[name].exists = None
        elif answer is not None and answer["error"] == 0:
            self.accounts[name].exists = False
        return _is_logged_in(answer)

    def _move_credit(self, session: requests.Session, url: str, seller: str) -> bool:
        amount = self.random.randrange(1, 50)
        answer = self._post(session, url, "adjust_credit", reseller_id=seller, amount=amount, action="add")
        if _is_unsure(answer):
            self.unsure_credit.append(amount)
        elif answer is not None and answer["error"] == 0:
            self.credit += amount
        return _is_logged_in(answer)


def _is_unsure(answer: dict[str, Any] | None) -> bool:
    if answer is None or answer.get("pending"):
        return True
    return answer["error"] != 0 and any(words in answer["message"] for words in _UNSURE)


def _is_logged_in(answer: dict[str, Any] | None) -> bool:
    return answer is not None and answer.get("code") not in (2, 7)
