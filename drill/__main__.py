"""``python -m drill``: rounds of work and kills on each kind of database, counted. Exit code 1: something differs."""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from drill.clients import Client
from drill.ground import RESELLERS, Ground
from drill.proof import differences, settle

CLIENTS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m drill", description=__doc__)
    parser.add_argument("--databases", default="sqlite,mariadb", help="which, with commas")
    parser.add_argument("--rounds", type=int, default=40, help="rounds on each database, one kill or more in each")
    parser.add_argument("--calls", type=int, default=1000, help="answered calls on each database, at least")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    failed = False
    for kind in options.databases.split(","):
        with tempfile.TemporaryDirectory(prefix="showbox-drill-") as folder:
            failed |= not _drill(kind, Path(folder), options.rounds, options.calls, random.Random(options.seed))
    return int(failed)


def _drill(kind: str, folder: Path, rounds: int, calls: int, chance: random.Random) -> bool:
    ground = Ground(kind, folder, chance)
    clients = [
        Client(
            number, "boss" if number == 0 else RESELLERS[number % len(RESELLERS)], ground.urls, random.Random(number)
        )
        for number in range(CLIENTS)
    ]
    kills: Counter[str] = Counter()
    found: list[str] = []
    try:
        ground.start()
        panel = ground.panel()
        number = 0
        while number < rounds or sum(client.counts["answered"] for client in clients) < calls:
            number += 1
            kills.update(_round(ground, clients, chance))
            new = settle(panel) or differences(ground, panel, clients)
            for line in new:
                print(f"{kind}, round {number}: {line}", flush=True)
            found += new
            if number % 10 == 0:
                _print(kind, number, kills, clients, found)
        panel.close()
        for line in ground.unexpected():
            print(f"{kind}: {line}")
    finally:
        ground.end()
    if number % 10:
        _print(kind, number, kills, clients, found)
    return not found


def _round(ground: Ground, clients: Sequence[Client], chance: random.Random) -> list[str]:
    """The clients work for a while in which something is killed and started again; what was killed."""
    stopped = threading.Event()
    threads = [
        threading.Thread(target=client.run, args=(stopped, "2" if client.is_boss else None)) for client in clients
    ]
    for thread in threads:
        thread.start()
    victims = [chance.choice(kind) for kind in chance.sample(ground.victims, chance.choice((1, 1, 2)))]
    time.sleep(chance.uniform(0.4, 1.5))
    for victim in victims:
        victim.end()
        time.sleep(chance.uniform(0.0, 0.4))
    time.sleep(chance.uniform(0.0, 1.0))
    for victim in victims:
        ground.revive(victim)
    time.sleep(chance.uniform(0.1, 0.5))
    stopped.set()
    for thread in threads:
        thread.join()
    return [victim.name.rstrip("0123456789") for victim in victims]


def _print(kind: str, rounds: int, kills: Counter[str], clients: Sequence[Client], found: Sequence[str]) -> None:
    counts: Counter[str] = sum((client.counts for client in clients), Counter())
    done = ", ".join(f"{name} {counts[name]}" for name in sorted(counts) if name not in ("answered", "no answer"))
    killed = ", ".join(f"{name} {number}" for name, number in sorted(kills.items()))
    print(f"{kind}: {rounds} rounds, {counts['answered']} answered calls, {counts['no answer']} without an answer")
    print(f"{kind}: {done}")
    print(f"{kind}: killed: {killed}")
    print(f"{kind}: {len(found)} differences", flush=True)


if __name__ == "__main__":
    sys.exit(main())
