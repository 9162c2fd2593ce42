"""The yardstick: a bare Flask application with one route, served as the panel is.

``python -m bench.hello PORT THREADS PROCESSES ENGINE``
"""

import logging
import sys

from flask import Flask

from compat.serving.engines import ServingSettings, serve_by_several, serve_here

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
    settings = ServingSettings(
        host=HOST,
        port=port,
        processes=processes,
        threads=threads,
        engine=engine,
        connections_per_address=0,
        exempt=(),
        largest_body=2**20,
    )
    if settings.is_one_process:
        serve_here(create_app(), settings)
    else:
        serve_by_several(create_app, settings, "")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
