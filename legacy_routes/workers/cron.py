"""The panel's cron scripts over HTTP (contract chapter 60, "Existing crontabs, unedited"): refused.

With the configured key (``cron_key`` in the query, or ``X-Cron-Key``) they start their job in the background.
"""

import orjson
from flask import Flask
from werkzeug.wrappers import Response

from compat import envelope
from compat.dispatcher import Dispatcher
from compat.endpoints import ROUTED_METHODS
from core.workers.cron_scripts import ALL_SCRIPTS, PUSH_SCRIPT, paths
from core.workers.schedule import find, start_in_background
from legacy_routes.gate import Call, knows_cron_key

REFUSAL = "This script runs from the command line only"


def install_cron(app: Flask, dispatcher: Dispatcher) -> None:
    """A rule for each path at which a web server could have run one of the scripts."""

    def script() -> Response:
        call: Call = dispatcher.call()
        name = call.request.path.rpartition("/")[2]
        job = find(name)
        if job is not None and knows_cron_key(call):
            job_id = start_in_background(call.panel, job)
            text = "Started in the background"
            answer = {"error": 0, "err_msg": "", "message": text, "job_id": job_id}
            return envelope.json_response(orjson.dumps(answer), 202)
        if name == PUSH_SCRIPT:
            # the one that the panel guarded, and so answered (chapter 70)
            return Response(REFUSAL, 403, content_type="text/plain", headers=envelope.NO_CACHE)
        return envelope.failure(REFUSAL, 3, 403)

    for path in (path for name in ALL_SCRIPTS for path in paths(name)):
        app.add_url_rule(f"/{path}", "cron", script, methods=ROUTED_METHODS, provide_automatic_options=False)
