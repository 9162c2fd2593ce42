"""The servers that tests start: :class:`XtreamNode`, and :class:`XtreamMain` with its control service.

Control is by these objects, never over HTTP. Source: contract chapter 95 §8.1 and §11.
"""

import http.client
import threading
from collections.abc import Collection, Mapping
from urllib.parse import urlencode

from simulators.faults import Answer, Fault, FaultRule, Match
from simulators.php import scalar
from simulators.simulator import Simulator
from simulators.wire import Request, Response
from simulators.xtream_node.node import PATHS, Dialect, Node, fields_of, json_answer
from simulators.xtream_node.state import NodeState

_FAN_OUT_SECONDS = 5


class _Served(Simulator):
    def fail(self, match: Match, fault: Fault, *, times: int | None = 1, after: int = 0) -> FaultRule:
        """See :meth:`simulators.stalker.StalkerPortal.fail`; patterns are ``POST stream``, ``vod/stop/*``, ``*``."""
        return self._faults.add(FaultRule(match, fault, times, after))


class XtreamNode(_Served):
    """A streaming server: attributes of :attr:`node` switch its behaviour, :attr:`state` is what it runs."""

    def __init__(
        self,
        dialect: Dialect | str = Dialect.XC_NEW,
        secret: str = "node-secret",  # noqa: S107 - of a simulator on loopback
        *,
        name: str = "node",
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 1,
    ) -> None:
        self.dialect = Dialect(dialect)
        self.secret = secret
        self.state = NodeState(seed)
        self.node = Node(self.dialect, secret, self.state)
        super().__init__(self.node, name, host, port)

    @property
    def url(self) -> str:
        return f"{self.origin}{PATHS[self.dialect]}"

    @property
    def secret_in_urls(self) -> list[str]:
        """The targets of requests that told the secret to everybody on the way."""
        return [request.path for request in self.requests if self.secret in request.path]


class _Control:
    """Starts and stops on the nodes, whose answers do not matter to it, and always says true."""

    def __init__(self, nodes: Mapping[int, XtreamNode], api_pass: str, admits: Collection[str]) -> None:
        self.nodes = nodes
        self.api_pass = api_pass
        self.admits = admits

    def describe(self, request: Request) -> str:
        fields = fields_of(request)
        ids, servers = fields.get("stream_ids"), fields.get("servers")
        lists = [str(item) for value in (ids, servers) if isinstance(value, list) for item in value]
        return f"{request.method} {'/'.join([scalar(fields, 'action'), scalar(fields, 'sub'), *lists])}"

    def respond(self, request: Request) -> Response:
        if request.target.partition("?")[0] not in ("/admin/api", "/api.php"):
            return Response(b"<html><body>404 Not Found</body></html>", 404)
        if "127.0.0.1" not in self.admits:
            return json_answer({"result": False, "0": "IP FORBIDDEN"})
        fields = fields_of(request)
        if self.api_pass and scalar(fields, "api_pass") != self.api_pass:
            return json_answer({"result": False, "0": "KEY WRONG"})
        ids, servers = fields.get("stream_ids"), fields.get("servers")
        wanted = [int(str(server)) for server in servers] if isinstance(servers, list) else list(self.nodes)
        body = {"action": scalar(fields, "action"), "function": scalar(fields, "sub")}
        body |= {f"stream_ids[{n}]": str(id) for n, id in enumerate(ids if isinstance(ids, list) else [])}
        threads = [
            threading.Thread(target=_post, args=(self.nodes[server], body)) for server in wanted if server in self.nodes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return json_answer({"result": True})


def _post(node: XtreamNode, body: Mapping[str, str]) -> None:
    connection = http.client.HTTPConnection(node.host, node.port, timeout=_FAN_OUT_SECONDS)
    try:
        form = urlencode({**body, "password": node.secret})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", PATHS[node.dialect], form, headers)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        # as the original: whatever a node answers, main says true
        return
    finally:
        connection.close()


class XtreamMain(_Served):
    """The main server's control service, which passes starts and stops on to ``nodes`` by server id."""

    def __init__(
        self,
        nodes: Mapping[int, XtreamNode],
        api_pass: str = "",
        *,
        admits: Collection[str] = ("127.0.0.1",),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.control = _Control(nodes, api_pass, admits)
        super().__init__(self.control, "main", host, port)


def rejected(*, effect: bool = False) -> Answer:
    """``{"result":false}``."""
    return Answer(json_answer({"result": False}), effect)


def answering(value: object, *, effect: bool = False) -> Answer:
    """Any other JSON, such as ``{"result":"true"}`` or ``{"result":1}``."""
    return Answer(json_answer(value), effect)
