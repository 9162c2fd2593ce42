"""The portal's tariffs as they are kept (contract chapter 40 §3.6): how long, and who shares a call."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore

import pytest

from core.portal import PortalTimeout, Tariff
from core.portal.tariff_list import KEPT_SECONDS, TariffList

GOLD, SILVER = Tariff("1", "g", "Gold", 30), Tariff("2", "s", "Silver", 30)


def test_a_good_answer_is_kept_for_a_minute() -> None:
    now, answers = [0.0], [[GOLD], [SILVER], []]
    tariffs = TariffList(lambda: answers.pop(0), lambda: now[0])
    assert tariffs.get() == tariffs.get() == [GOLD]
    now[0] = KEPT_SECONDS - 0.1
    assert tariffs.get() == [GOLD]
    now[0] = KEPT_SECONDS
    assert tariffs.get() == [SILVER]
    # an empty list is an answer, too
    assert tariffs.get(fresh=True) == tariffs.get() == []


def test_a_failure_is_not_kept_and_leaves_what_is() -> None:
    answers: list[list[Tariff] | None] = [None, [GOLD], None]

    def fetch() -> list[Tariff]:
        answer = answers.pop(0)
        if answer is None:
            raise PortalTimeout
        return answer

    tariffs = TariffList(fetch, lambda: 0.0)
    with pytest.raises(PortalTimeout):
        tariffs.get()
    assert tariffs.get() == [GOLD]
    with pytest.raises(PortalTimeout):
        tariffs.get(fresh=True)
    assert tariffs.get() == [GOLD]


@pytest.mark.parametrize("fails", [False, True])
def test_who_asks_at_the_same_time_shares_one_call(fails: bool) -> None:
    entered, go, calls = Semaphore(0), Event(), []

    def fetch() -> list[Tariff]:
        calls.append(1)
        go.wait(60)
        if fails:
            raise PortalTimeout
        return [GOLD]

    def now() -> float:
        # asked for at each entry, under the lock under which the call under way is found
        entered.release()
        return 0.0

    tariffs = TariffList(fetch, now)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(tariffs.get) for _ in range(4)]
        assert all(entered.acquire(timeout=60) for _ in answers)
        go.set()
        assert [answer.exception(60) is not None for answer in answers] == [fails] * 4
    assert len(calls) == 1
