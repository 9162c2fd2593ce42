"""Serve one simulated node until Ctrl-C or SIGTERM: ``python -m simulators.xtream_node --port P --dialect xc_new``."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from simulators.xtream_node.node import Dialect
from simulators.xtream_node.server import XtreamNode


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the address of the node's API."""
    parser = argparse.ArgumentParser(prog="python -m simulators.xtream_node", description="A simulated streaming node.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=25461, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--dialect", choices=list(Dialect), type=Dialect, default=Dialect.XC_NEW)
    parser.add_argument("--secret", default="node-secret", help="the nodes' password (default: %(default)s)")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with XtreamNode(options.dialect, options.secret, host=options.host, port=options.port) as node:
        sys.stdout.write(f"{node.url}\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
