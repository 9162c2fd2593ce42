"""Backup and restore of the database, as the frontends call them. Source: contract chapter 70, ``scripts/…``."""

from typing import BinaryIO

from flask import Flask
from werkzeug.wrappers import Response
from werkzeug.wsgi import wrap_file

from compat import envelope
from compat.dispatcher import Dispatcher
from compat.endpoints import ROUTED_METHODS, Answer, Endpoints, Manners
from compat.fields import BadField, RequestModel
from core.access.permissions import EXPORT_DATABASE, IMPORT_DATABASE
from core.backup import backups
from core.backup.files import Backup
from core.errors import NotAllowed, NotLoggedIn, PanelError
from core.panel import Panel
from legacy_routes.gate import Call, Gate, by, caller, having

_FOLDER = "scripts"
_MIB = 1024 * 1024
endpoints = Endpoints(chapter="70")


class ImportForm(RequestModel):
    """Only the file ``sql_file``, which is no field."""


def _largest_dump(panel: Panel) -> int:
    return int(panel.config.backup.max_mib * _MIB)


@endpoints.endpoint(
    "export_database",
    "GET",
    "POST",
    who=having(EXPORT_DATABASE),
    manners=Manners(get_changes=True, also_at=(f"/{_FOLDER}/export_database.php",)),
)
def export_database(call: Call) -> Answer:
    """Store a dump of the database for the caller to fetch; that of a reseller admin is without passwords and keys."""
    made = backups.export(call.panel, by(call))
    return {
        "message": "The backup is ready and can be downloaded within an hour",
        "filename": made.name,
        "file_url": f"{_FOLDER}/backups/{made.name}",
        "file_size": made.size,
    }


@endpoints.endpoint(
    "import_database",
    "POST",
    who=having(IMPORT_DATABASE),
    model=ImportForm,
    manners=Manners(waits=True, also_at=(f"/{_FOLDER}/import_database.php",), upload_limit=_largest_dump),
)
def import_database(call: Call, _form: ImportForm) -> Answer:
    """Replace the panel's data by a dump's, after a backup; reseller admins only where the configuration says so."""
    backups.require_import(call.panel, caller(call))
    upload = call.files.get("sql_file")
    if upload is None or not upload.filename:
        raise BadField("Missing file: sql_file; nothing was uploaded, or only a part of it arrived")
    done = backups.import_upload(call.panel, by(call), upload.stream, upload.filename)
    rows = sum(done.tables.values())
    return {
        "message": f"{rows} rows of {len(done.tables)} tables are in place. The page loads anew in a moment.",
        "tables": done.tables,
        "skipped": done.skipped,
        "backup": done.backup,
    }


def install_downloads(app: Flask, dispatcher: Dispatcher) -> None:
    """Before the static host, which serves nothing below these paths."""

    def download(name: str) -> Response:
        call: Call = dispatcher.call()
        if call.method != "GET":
            return envelope.failure("This method is not supported here", 6, 405)
        try:
            Gate().admit(call, having(EXPORT_DATABASE))
            found, file = backups.open_for(call.panel, caller(call), name)
        except (NotLoggedIn, NotAllowed) as error:
            # a browser saves whatever a 200 brings
            return envelope.failure(error.text, error.code, 403)
        except PanelError as error:
            return envelope.instead_of_a_file(error)
        return _whole(call, found, file)

    for folder in (f"/{_FOLDER}/backups", "/backups"):
        app.add_url_rule(
            f"{folder}/<name>", "backup", download, methods=ROUTED_METHODS, provide_automatic_options=False
        )


def _whole(call: Call, found: Backup, file: BinaryIO) -> Response:
    """The file, which no cache may keep: ``Vary: *`` keeps service workers of panels from it."""
    headers = {
        "Content-Disposition": f'attachment; filename="{found.name}"',
        "Content-Length": str(found.size),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Vary": "*",
    }
    body = wrap_file(call.request.environ, file)
    return Response(body, content_type="application/octet-stream", headers=headers, direct_passthrough=True)
