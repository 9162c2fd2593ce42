"""What a server's memory does under many requests of all kinds: how much it is, and whether it goes on growing."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.client import Job, Sample
from bench.processes import LoadClient, Server

# MiB of the largest process
AT_MOST = 160.0
# allocators keep what they had to have at the worst moment, which may come late
GROWTH_AT_MOST = 4.0


@dataclass(frozen=True)
class Growth:
    """MiB of the largest process after so many ``requests``, and ``after_as_many`` more; None without /proc."""

    requests: int
    after: float | None
    after_as_many: float | None
    failures: int = 0
    first_failure: str = ""

    @property
    def is_met(self) -> bool:
        if self.after is None or self.after_as_many is None:
            return False
        return not self.failures and max(self.after, self.after_as_many) <= AT_MOST and not self.grows

    @property
    def grows(self) -> bool:
        return (self.after_as_many or 0.0) - (self.after or 0.0) > GROWTH_AT_MOST

    def sentence(self) -> str:
        if self.after is None or self.after_as_many is None:
            return "        memory: this system does not tell"
        verdict = "met   " if self.is_met else "MISSED"
        bound = f"at most {AT_MOST:.0f}, and {GROWTH_AT_MOST:.0f} more"
        told = (
            f"{self.after:.0f} MiB after {self.requests} mixed requests, {self.after_as_many:.0f} after as many again"
        )
        return f"{verdict}  memory of the panel: {told} ({bound}){self._wrong()}"

    def _wrong(self) -> str:
        return f"; {self.failures} wrong answers, first: {self.first_failure}" if self.failures else ""


def growth_of(
    server: Server, client: LoadClient, requests: Sequence[str], *, connections: int, wanted: str, count: int
) -> Growth:
    """Drive ``server`` with ``count`` of ``requests`` in turn, and with as many again."""
    told: list[float | None] = []
    samples: list[Sample] = []
    for _ in range(2):
        samples.append(client.run(Job(server.port, list(requests), connections, wanted, count=count)))
        told.append(server.memory().get("rss"))
    failed = [sample for sample in samples if sample.failures]
    first = failed[0].first_failure if failed else ""
    return Growth(count, told[0], told[1], sum(sample.failures for sample in samples), first)
