"""Sending one message to several devices at once, with what their services' answers ask for.

One request is :mod:`core.messages.push.client`; who is told of what, and when, is the business of those who call.
Source: contract chapter 70, "Outcome per subscription".
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Self

from core.messages.push.audience import forget_ended
from core.messages.push.client import CONNECTIONS, Answer, Device, Meaning, PushClient
from core.messages.push.message import Message
from core.panel import Panel

_HEARTBEAT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Later:
    """A device worth another try; ``wait``: seconds that its service asks for, None: it does not say."""

    device: Device
    wait: float | None


@dataclass(frozen=True, slots=True)
class Reached:
    """How many devices were reached, and how many not; of these, which are worth another try, and which have ended."""

    sent: int
    failed: int
    later: tuple[Later, ...]
    ended: tuple[Device, ...]


class Sender:
    """Sends one message after the other. To be used as a context manager. Raises KeyNotStored when made.

    A device that was not reached after all tries is tried once for each further message, so that one dead service
    does not hold up the others.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._client = PushClient(panel)
        self._pool = ThreadPoolExecutor(CONNECTIONS, "push")
        self._tired: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def send(
        self, devices: Sequence[Device], message: Message, alive: Callable[[], None], *, patiently: bool
    ) -> Reached:
        """``patiently``: wait between the tries, else there is one. ``alive`` is called now and then while services
        make us wait. Ended subscriptions are deleted."""
        tasks = {self._pool.submit(self._deliver, device, message, patiently): device for device in devices}
        pending = set(tasks)
        while pending:
            done, pending = wait(pending, _HEARTBEAT_SECONDS, FIRST_COMPLETED)
            if not done:
                alive()
        answers = [(device, task.result()) for task, device in tasks.items()]
        ended = tuple(device for device, answer in answers if answer.meaning is Meaning.GONE)
        if ended:
            forget_ended(self._panel, ended)
        later = tuple(Later(device, answer.wait) for device, answer in answers if answer.meaning is Meaning.LATER)
        sent = sum(answer.meaning is Meaning.SENT for _, answer in answers)
        return Reached(sent, len(answers) - sent, later, ended)

    def _deliver(self, device: Device, message: Message, patiently: bool) -> Answer:
        settings, now = self._panel.config.push, int(self._panel.clock.seconds() * 1000)
        payload, urgency = message.payload(now), "high" if message.type in settings.urgent else "normal"
        waits = [] if not patiently or device.id in self._tired else list(settings.retry_seconds)
        is_short = False
        while True:
            answer = self._client.send(device, payload, urgency)
            if answer.meaning is Meaning.TOO_LARGE and not is_short:
                payload, is_short = message.short_payload(now), True
            elif answer.meaning is Meaning.LATER and waits:
                usual = waits.pop(0)
                time.sleep(usual if answer.wait is None else answer.wait)
            else:
                break
        if answer.meaning is Meaning.LATER:
            self._tired.add(device.id)
        return answer
