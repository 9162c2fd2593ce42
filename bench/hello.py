"""The yardstick: a bare Flask application with one route, under the panel's engine as that is, with nothing of ours.

What the panel's own serving makes better is seen beside it, and not in it. ``python -m bench.hello PORT THREADS
PROCESSES ENGINE``
"""

import logging
import sys

import waitress
from flask import Flask

from compat.serving.granian_engine import serve_with_granian
from compat.serving.processes import Crew, listening_sockets

HOST = "127.0.0.1"


def create_app() -> Flask:
    app = Flask("hello", static_folder=None, template_folder=None)

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    return app


def main(port: int, threads: int, processes: int, engine: str) -> None:
    # as the panel's own server does: writing a warning per burst would slow the yardstick down
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    if engine == "granian":
        serve_with_granian(create_app, lambda: None, (HOST, port), processes=processes, threads=threads)
    elif processes == 1:
        waitress.serve(create_app(), host=HOST, port=port, threads=threads)
    else:
        sockets = listening_sockets(HOST, port)
        Crew(processes, lambda _: waitress.serve(create_app(), sockets=sockets, threads=threads)).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
