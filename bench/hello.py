"""The yardstick: a bare Flask application with one route under waitress (``python -m bench.hello PORT THREADS``)."""

import logging
import sys

import waitress
from flask import Flask

HOST = "127.0.0.1"


def create_app() -> Flask:
    app = Flask("hello", static_folder=None, template_folder=None)

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    return app


def main(port: int, threads: int) -> None:
    # as the panel's own server does: writing a warning per burst would slow the yardstick down
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(create_app(), host=HOST, port=port, threads=threads)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
