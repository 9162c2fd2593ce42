"""Requests of every kind to every endpoint, as everybody, in every encoding, and what is a fault in an answer."""

import random
import re
from collections import Counter
from typing import Any

import orjson
import requests

from compat.endpoints import Endpoint
from legacy_routes.app import all_endpoints
from tests.routes.conftest import fill_chapter_10
from tests.worlds.harness import PASSWORDS, Client, World, legacy_hash

ROLES = (None, "admin", "resa", "obs", "radm", "noname")
METHODS = ("GET", "GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")
# they end sessions or wait for what is not there
LEFT_OUT = {"logout", "login", "update_password", "change_password", "sync_accounts"}
# answers success with a line of text (chapter 30 D)
TEXTS = {"update_admin_resellers"}
PORTAL_PASSWORD, CRON_KEY = "portal-secret-of-the-fuzz", "cron-key-of-the-fuzz"
VALUES: tuple[Any, ...] = (
    "",
    "0",
    "1",
    "-1",
    "2",
    "acc1",
    "resa",
    "admin",
    "GBP",
    "1-GBP",
    "on",
    "true",
    "9999-12-31",
    "0001-01-01",
    "2025-02-30",
    "1e400",
    "NaN",
    "99999999999999999999",
    "۱۲۳",
    "00:1A:79:00:00:01",
    "' OR 1=1 --",
    '"><img src=x onerror=1>',
    "../../etc/passwd",
    "%00",
    "a\u202eb",
    "\U0001f600" * 3,
    "علی \U0001f600",
    "x" * 300,
    "x" * 70000,
    "http://127.0.0.1:9/",
    "{days}",
    "1|1|1|1|1|1|1|1",
)
JSON_VALUES: tuple[Any, ...] = (
    *VALUES,
    *(None, True, False, 0, -1, 1.5, 2**63, 1e308),
    *([], {}, [1, "2"], {"a": {"b": []}}),
)
# of the world that is sent to
SETTINGS = {
    "SHOWBOX_PORTAL_PRIMARY_API_URL": "http://127.0.0.1:9/",
    "SHOWBOX_PORTAL_PASSWORD": PORTAL_PASSWORD,
    "SHOWBOX_PORTAL_CONNECT_SECONDS": "0.5",
    "SHOWBOX_SECURITY_CRON_KEY": CRON_KEY,
    "SHOWBOX_JOBS_WAIT_SECONDS": "0",
}
BODIES = (b"{", b"[1]", b'"x"', b"\xff\xfe", b"a=%ff", b"\x00", b'{"a":1}garbage', b'{"a":"\\ud800"}')


def _names(endpoint: Endpoint) -> list[str]:
    """Every field that the endpoint reads, under each of its names, and some that it does not."""
    names = ["id", "username", "nothing"]
    if endpoint.model is not None:
        for name, field in endpoint.model.model_fields.items():
            alias = field.validation_alias
            choices = getattr(alias, "choices", None) or ([alias] if isinstance(alias, str) else [name])
            names += [choice for choice in choices if isinstance(choice, str)]
    return names


def _send(client: Client, endpoint: Endpoint, chance: random.Random) -> requests.Response:
    method = chance.choice((*METHODS, *endpoint.methods, *endpoint.methods))
    path = chance.choice(endpoint.paths)
    names = _names(endpoint)
    chosen = chance.sample(names, chance.randint(0, min(len(names), 8)))
    fields = {name + chance.choice(("", "", "", "[]", "[k]")): chance.choice(VALUES) for name in chosen}
    kind = chance.choice(("query", "form", "json", "json", "multipart", "text", "broken"))
    if kind == "query" or method in ("GET", "HEAD"):
        short = {name: str(value)[:500] for name, value in fields.items()}
        return client.request(method, path, params=short)
    if kind == "form":
        return client.request(method, path, data=fields)
    if kind == "json":
        return client.request(method, path, json={name: chance.choice(JSON_VALUES) for name in chosen})
    if kind == "multipart":
        return client.request(method, path, files={name: (None, str(value)) for name, value in fields.items()})
    body = orjson.dumps(fields) if kind == "text" else chance.choice(BODIES)
    content_type = chance.choice(("text/plain", "application/json", "application/x-www-form-urlencoded", "x/y", ""))
    return client.request(method, path, data=body, headers={"Content-Type": content_type})


def _fault(response: requests.Response, endpoint: Endpoint, secrets: tuple[str, ...]) -> str | None:
    if response.status_code >= 500:
        return f"status {response.status_code}"
    if any(secret in response.text for secret in secrets):
        return "a secret"
    if re.search(r"Traceback|sqlite3|SELECT |/site-packages/|\.py\b", response.text):
        return "internals"
    speaks_text = endpoint.manners.as_text or endpoint.name in TEXTS
    if response.request.method in ("HEAD", "OPTIONS") or speaks_text:
        return None
    try:
        answer = response.json()
    except ValueError:
        return "no envelope"
    if not isinstance(answer, dict) or answer.get("error") not in (0, 1) or isinstance(answer["error"], bool):
        return "no envelope"
    if answer.get("code") == 7:
        return "the database"
    if answer["error"] == 1 and not (answer.get("err_msg") == answer.get("message") and "code" in answer):
        return "a failure without text or code"
    return None


def fuzz(world: World, number_of_requests: int, seed: int) -> Counter[str]:
    """What was found: a line for each kind of request that made a fault."""
    chance = random.Random(seed)
    endpoints = [endpoint for endpoint in all_endpoints() if endpoint.name not in LEFT_OUT]
    secrets = (PORTAL_PASSWORD, CRON_KEY, *(legacy_hash(PASSWORDS[name]) for name in ROLES if name))
    clients: dict[str | None, Client] = {}
    faults: Counter[str] = Counter()
    for number in range(number_of_requests):
        if number % 200 == 0:
            # what was changed or removed meanwhile is there again
            world.reset()
            fill_chapter_10(world)
            clients = {role: world.client(role) for role in ROLES}
        endpoint, role = endpoints[number % len(endpoints)], chance.choice(ROLES)
        response = _send(clients[role], endpoint, chance)
        fault = _fault(response, endpoint, secrets)
        if fault is not None:
            asked = response.request
            faults[f"{fault}: {asked.method} {endpoint.name} as {role}: {asked.url[:300]} {asked.body!r:.300}"] += 1
    return faults
