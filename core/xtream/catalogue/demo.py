"""Example data for trying the Xtream API out, with the ids of its document's own examples. Source: chapter 95 §15."""

from collections.abc import Mapping
from typing import Any

from core.access.identity import find_user
from core.panel import Panel
from core.xtream.catalogue.file_format import read_data
from core.xtream.catalogue.importing import import_file
from core.xtream.node_client import DIALECTS

RESELLERS_GROUP = 4
RESELLERS = ("reseller1", "readmin")
# connections of the lines: id, line, stream, server, process, container
CONNECTIONS = ((1, 101, 123, 1, 40101, "ts"), (2, 102, 123, 2, 40102, "ts"), (3, 101, 1, 1, None, "hls"))


def fill_xtream_demo(panel: Panel, ports: Mapping[int, int], secret: str) -> None:
    """Store the examples; servers 1 and 2 answer on loopback at ``ports``. What was deleted since comes back."""
    # a user of the demo may have been deleted or renamed
    resellers = [name for name in RESELLERS if find_user(panel, name) is not None]
    import_file(panel, read_data(_example(ports, secret, resellers), {}))


def _example(ports: Mapping[int, int], secret: str, resellers: list[str]) -> dict[str, Any]:
    streams = [
        {"id": 123, "name": "News", "kind": "live", "servers": [1, 2]},
        {"id": 1, "name": "Sports", "kind": "live", "servers": [1]},
        {"id": 456, "name": "A Movie", "kind": "movie", "servers": [2]},
        {"id": 789, "name": "A Series, episode 1", "kind": "episode", "servers": [1]},
    ]
    names = ("id", "line", "stream", "server", "pid", "container")
    return {
        "servers": [
            {
                "id": id,
                "name": f"Node {id}",
                "host": "127.0.0.1",
                "port": ports[id],
                "dialect": dialect,
                "secret": secret,
                "is_main": id == 1,
                "can_delete": id != 1,
            }
            for id, dialect in enumerate(DIALECTS, 1)
        ],
        "members": [{"username": name, "group": RESELLERS_GROUP} for name in resellers],
        "streams": streams,
        "series_episodes": [{"id": 1, "series": 1, "season": 1, "sort": 1, "stream": 789}],
        "bouquets": [
            {"id": 1, "name": "Everything", "channels": [123, 1], "movies": [456], "series": [1]},
            {"id": 2, "name": "Live only", "channels": [123, 1]},
        ],
        "lines": [
            {"id": id, "username": f"line{id}", "member": member, "password": f"pw{id}"}
            for id, member in enumerate((*resellers[:1] * 5, *resellers[1:] * 5, *[None] * 10)[:10], 101)
        ],
        "connections": [dict(zip(names, row, strict=True)) for row in CONNECTIONS],
    }
