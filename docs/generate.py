"""Writes the generated pages of the documentation: ``python -m docs.generate``."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from compat.endpoints import Endpoint
from core.access.actors import Actor, bare_actor
from core.access.permissions import Field, Right, scope_of
from core.config import DatabaseSection
from core.storage.caching.freshness import DIGEST_AT_LEAST_EVERY_SECONDS
from core.storage.tables import OWN_TABLES, PANEL_TABLES, Base
from core.storage.tables.texts import HeldText, Manner
from legacy_routes.app import all_endpoints
from legacy_routes.gate import LOGGED_IN, LOGGED_IN_AND_COUNTED, XTREAM_SESSION, Need


class Role(NamedTuple):
    super_user: bool = False
    reseller_admin: bool = False
    has_field: bool = False
    observer: bool = False


_ROLES = {
    "super admin": Role(super_user=True),
    "reseller admin": Role(reseller_admin=True),
    "… with it": Role(reseller_admin=True, has_field=True),
    "reseller": Role(),
    "… with it ": Role(has_field=True),
    "observer": Role(observer=True),
}
_ROOT = Path(__file__).parents[1]
_GENERATED = "<!-- written by python -m docs.generate -->\n"


def endpoints_page() -> str:
    """The table of all declared endpoints."""
    lines = [
        "# Endpoints",
        "",
        _GENERATED,
        "Each answers at `/name.php` and at `/api/name.php`, but for those that are shown with their paths. Other",
        "methods get 405; HEAD works wherever GET does, except at `/api.php`, where it would carry commands out.",
        "",
        "Who may call, and over what: all, or what is the caller's own (yes: the text tells what). `… with it`: the",
        "same role with the permission that is named. An observer who is a super admin too reads as one and changes",
        "nothing.",
        "",
        f"| endpoint | method | {' | '.join(_ROLES)} | nobody | permission | what it does |",
        f"|---|---|{'---|' * len(_ROLES)}---|---|---|",
    ]
    for endpoint in sorted(all_endpoints(), key=lambda item: item.name):
        by_need: dict[Need | None, list[str]] = {}
        for method in endpoint.methods:
            by_need.setdefault(need_of(endpoint, method), []).append(method)
        lines += [
            f"| `{_shown_name(endpoint)}` | {', '.join(methods)} | {_reach(need)} | {_summary(endpoint)} |"
            for need, methods in by_need.items()
        ]
    return "\n".join(lines) + "\n"


def _shown_name(endpoint: Endpoint) -> str:
    """Those that do not answer at the two usual paths are shown with theirs."""
    return "`, `".join(endpoint.manners.only_at) or f"{endpoint.name}.php"


def need_of(endpoint: Endpoint, method: str) -> Need | None:
    """What callers of that method need; None: anybody may call."""
    need: Need | None = endpoint.who.get(method) if isinstance(endpoint.who, Mapping) else endpoint.who
    return need


def _reach(need: Need | None) -> str:
    """The cells of one line of the table."""
    if need is None:
        return " | ".join(["yes"] * (len(_ROLES) + 1) + [""])
    if need in (LOGGED_IN, LOGGED_IN_AND_COUNTED, XTREAM_SESSION):
        return " | ".join(["yes"] * len(_ROLES) + ["no", ""])
    right = need.right
    cells = [scope_of(_with_field(role, right), right).value for role in _ROLES.values()]
    named = [f"{field.name.lower()} ({field.value})" for field in (right.field, right.or_field) if field is not None]
    return " | ".join([*cells, "with the cron key" if need.or_key else "no", " or ".join(named)])


def _with_field(role: Role, right: Right) -> Actor:
    permissions = ["0"] * len(Field)
    permissions[Field.RESELLER_ADMIN] = "1" if role.reseller_admin else "0"
    if right.field is not None and role.has_field:
        permissions[right.field] = "1"
    actor = bare_actor(1, "somebody", super_user=role.super_user)
    return replace(actor, permissions="|".join(permissions), is_observer=role.observer)


def _summary(endpoint: Endpoint) -> str:
    return _first_line(endpoint.handler.__doc__ or "")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".")


def database_page() -> str:
    """What this server adds to a panel's database."""
    lines = [
        "# What we add to a panel's database",
        "",
        _GENERATED,
        "Merely running adds the tables of our own. `showbox db upgrade` also adds what the panel's newest",
        "version has and an older one lacks (tables, nullable columns), the indexes below, and widens",
        "`_transactions.correction_amount` to decimal(15,2). Nothing is ever removed, renamed or narrowed.",
        "",
        "| table of our own | what it holds | columns |",
        "|---|---|---|",
    ]
    meanings = {mapper.local_table: mapper.class_.__doc__ or "" for mapper in Base.registry.mappers}
    for table in OWN_TABLES:
        columns = ", ".join(f"`{column.name}`" for column in table.columns)
        lines.append(f"| `{table.name}` | {_first_line(meanings[table])} | {columns} |")
    lines += ["", "| index of our own | table | columns |", "|---|---|---|"]
    for table in PANEL_TABLES:
        for index in sorted(table.indexes, key=lambda item: str(item.name)):
            if str(index.name).startswith("sbx_"):
                columns = ", ".join(f"`{expression}`" for expression in index.expressions)
                lines.append(f"| `{index.name}` | `{table.name}` | {columns.replace(f'{table.name}.', '')} |")
    names, logs = (", ".join(_columns_kept(manner)) for manner in (Manner.NAME, Manner.LOG))
    longest = DatabaseSection().longest_transaction_seconds
    reading = _READING.format(longest=longest, digest=DIGEST_AT_LEAST_EVERY_SECONDS)
    return "\n".join(lines) + _TEXTS.format(names=names, logs=logs) + reading


_TEXTS = """

## Texts that a table cannot hold
A panel's tables may be in utf8mb3, which has no emoji, or in latin1, which has no Persian. What each column can hold is
read when the server connects, so that no statement fails on a text, or stores another one without a word, whether
the database server is strict or not. It is seen before a portal is told anything and before money moves:

- In names and templates a character that the column lacks becomes `\N{REPLACEMENT CHARACTER}`, where it lacks that too
  `?`; the answer of an account's change says so (`warning_text`), and the portal gets the name as it is. What is too
  long is refused. These are {names}.
- Logs are cut as well, since nothing that is done may fail on its log; what was sent was sent as it is. These are
  {logs}.
- Everything else (user names, addresses, codes, secrets) would be wrong in another form, and is refused.

At a sync an account whose user name the table lacks is left out and named in the answer (`unstorable`). A dump or a
copy whose texts do not fit is refused as a whole. To keep every character, convert the tables:
`ALTER TABLE _accounts CONVERT TO CHARACTER SET utf8mb4`, each in turn and after a backup, then restart the server.
"""


def _columns_kept(manner: Manner) -> Iterator[str]:
    """The columns of the panel's tables whose texts are kept so, whole tables by their name."""
    for table in PANEL_TABLES:
        texts = [column for column in table.columns if isinstance(column.type, HeldText)]
        kept = [column for column in texts if isinstance(column.type, HeldText) and column.type.manner is manner]
        if kept and len(kept) == len(texts) > 1:
            yield f"`{table.name}`"
        else:
            yield from (f"`{table.name}.{column.name}`" for column in kept)


_READING = """
## Drivers of MariaDB and MySQL
`mysql://…` takes mysqlclient where it is installed (`pip install '.[mysqlclient]'`, which compiles it: on Debian after
`apt install gcc pkg-config libmariadb-dev python3-dev`), else PyMySQL, which is always there; `mysql+pymysql://…` and
`mysql+mysqldb://…` name one. Every kind of value reads alike.
PyMySQL is used with a cursor of our own that takes the packets of an answer as bytes. Processor time of the client on
one machine, in milliseconds:

| | one row of 17 columns | 5,000 rows of 15 columns |
|---|---|---|
| PyMySQL, its own cursor | 0.15 | 44 |
| PyMySQL, our cursor | 0.06 | 22 |
| mysqlclient 2.3 | 0.05 | 8 |
| `mariadb` 2.0.0rc2, binary wheel | 0.08 | 8 |

`mariadb` is not used: it is a release candidate, raises an error for a date and time with day 0 and for the year 0,
gives None for zero dates, and brings OpenSSL 1.0.2 along.

On MariaDB a statement is told to the server once for each connection and then asked by its name (`PREPARE`,
`EXECUTE`): of the look-up of a request's session, 230 to 300 µs of the server's processor time become 90 to 110. Where
that is refused (`max_prepared_stmt_count`), or something between the two forgets names, it is asked as it is; so is
what reads `information_schema`, of which MariaDB 10.11.19 crashed at a second execution.

What every request asks is one round trip by itself, without a transaction around it and without a question whether the
connection still stands; on a lost connection a select is repeated once on a new one. Before a transaction a look at the
socket tells whether the server has closed it.

## Encrypted connections
To a server on another machine, say in the address whom to trust. Both drivers of MariaDB and MySQL then do the same:
the connection is encrypted or does not come about, and what the server shows must be good for its name or address.

| in the address of MariaDB or MySQL | |
|---|---|
| `?ssl_ca=/etc/ssl/db-ca.pem` | trusts this authority (`ssl_capath`: a folder of them, as `openssl rehash` leaves it) |
| `?ssl_verify_identity=yes` | trusts those that the system does |
| `?ssl_ca=…&ssl_verify_identity=no` | takes a certificate of the authority for another name, too (PyMySQL) |
| `?ssl_ca=…&ssl_cert=…&ssl_key=…` | shows a certificate of ours as well |
| nothing of these | looks at no certificate; PyMySQL encrypts where the server can, mysqlclient as its library does |

`ssl_check_hostname` is another name for `ssl_verify_identity`. PostgreSQL has its own:
`?sslmode=verify-full&sslrootcert=/etc/ssl/db-ca.pem`.

## What is promised of kept lists
The encoded list of accounts is kept while nothing in it changes, whoever changes it.

- **SQLite**: exact. Triggers count every change of the tables.
- **PostgreSQL, MySQL**: the server digests the rows of the list at every request.
- **MariaDB**: the list is shown again without reading it when the server's time of change of `_accounts`
  (`information_schema.TABLES.UPDATE_TIME`) is the one that was seen before and is settled, the server's clock has not
  gone back, the names of plans and resellers are the same, and the rows were digested within the last {digest}
  seconds. In any other case, a restart included, the rows are digested.
- A time of change is **settled** when no transaction can leave it as it is and still change something. It is the second
  in which a transaction began, shown when that commits; so all that began in that second must have ended. That is so
  after `[database] longest_transaction_seconds` ({longest}). An account with the right `PROCESS` need not wait: some
  two seconds after a change the server asks once whether a transaction is open that began by then, and goes by the
  answer. It is asked of `information_schema.INNODB_TRX`, whose answer may be an old one when others ask as well; it
  counts only when it tells of the very question. A server of a Galera cluster is not asked.
- On a panel that is changed all day this decides whether most requests read a digest or nothing:
  `GRANT PROCESS ON *.* TO 'panel'@'localhost'`. It lets the account see what other accounts' connections are doing.
- **SQLite and MariaDB** also: a page of the ledger and its days with data, on MariaDB the number of accounts in
  `get_user_info` as well, are shown again by the same rule, without a digest: on MariaDB only while the times of change
  of the tables that they are made of (`_accounts`, `_transactions`) are settled and as they were; at any other time
  they are read.
- So a change is seen by the next request, unless its transaction stayed open for longer than the setting and the
  account may not ask, or it was made with a clock that stood still or was set back: then within {digest} seconds.
- A digest is the number of rows and a sum of their CRC-32, weighted by their ids; of four thousand million changes one
  may go unseen, until the next one.
"""


# from the door inwards
_TOP = ("commands", "legacy_routes", "compat", "core", "deploy", "simulators")
_HOUSE = """# The house

{generated}
A folder is a room, and what its `__init__.py` says first is what lives there. A module says the same in its first
line. Nothing is imported upwards: `lint-imports` holds that, and finds every new room that has no floor.

`wsgi.py` is the door: it builds the panel of the configuration and serves it. `showbox.py` is the command: it makes
sure that these packages are ours, and hands over to `commands/program.py`.

{top}
`commands` and `legacy_routes` use `compat` and `core`, which do not know each other. A request comes in through
`compat/dispatcher.py`, which checks what its declaration says (`compat/endpoints.py`); the function in `legacy_routes`
reads the call, asks one function of `core`, and shapes the answer. `core` opens the transactions, knows no wire
spelling, and raises named errors (`core/errors.py`), which `compat` puts into the envelope.

## The floors of core
From the top down. Each room knows only rooms below its own floor; those of one floor do not know each other.

{core}
## The floors of the wire
The same holds here; `app.py` knows all areas.

{wire}
## Where to put something new
How an endpoint is added is shown in [adding-an-endpoint.md](adding-an-endpoint.md). A rule of the business goes into
the room that is named for its subject; what two rooms need, into one below both. What must hear of something that
happens below it, listens to it. A test holds that no room has more than 16 files, no module more than 350 lines, and
no function more than 45.
"""


def house_page() -> str:
    """The rooms and their floors, as packages and the import contract say."""
    top = "".join(f"- `{name}/`: {_said(_ROOT / name)}\n" for name in _TOP)
    core, wire = ("\n".join(_floors(package)) for package in ("core", "legacy_routes"))
    return _HOUSE.format(generated=_GENERATED.rstrip(), top=top, core=core, wire=wire)


def _floors(package: str) -> Iterator[str]:
    contracts = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == [package])
    for number, floor in zip(range(len(layers), 0, -1), layers, strict=True):
        rooms = (line for room in floor.split(" | ") for line in _room(_ROOT / package / room, 0))
        yield f"### Floor {number}\n{''.join(rooms)}"


def _room(path: Path, depth: int) -> Iterator[str]:
    """A line for the room, and one for each room in it."""
    name = f"{path.name}/" if path.is_dir() else f"{path.name}.py"
    yield f"{'  ' * depth}- `{name}`: {_said(path)}\n"
    if path.is_dir():
        for inner in sorted(inner.parent for inner in path.glob("*/__init__.py")):
            yield from _room(inner, depth + 1)


def _said(path: Path) -> str:
    """The first paragraph of the docstring of a package or module, without the marks of cross-references."""
    module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    said = (ast.get_docstring(ast.parse(module.read_text())) or "").partition("\n\n")[0]
    return re.sub(r":mod:`~?([^`]+)`|``([^`]+)``", r"`\1\2`", " ".join(said.split()))


PAGES: Mapping[str, Callable[[], str]] = {
    "endpoints.md": endpoints_page,
    "database.md": database_page,
    "house.md": house_page,
}


def main() -> None:
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page())


if __name__ == "__main__":
    main()
