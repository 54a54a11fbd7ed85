from __future__ import annotations

import shlex
import sys
from pathlib import Path

from django.conf import settings

from vbase_console.settings.env import repeated
from vbase_console.supervisor.startup import address_of, reachable


def address() -> str:
    return f"http://{address_of(reachable(settings.HOST), settings.PORT)}"


def ready(sign_in: str, *, has_grpc: bool) -> str:
    grpc = address_of(reachable(settings.GRPC_HOST), settings.GRPC_PORT)
    lines = [
        "",
        f"VBase Console is ready: {address()}",
        *([f"gRPC is served at {grpc}."] if has_grpc else []),
        sign_in.strip(),
        "To use the API, issue a key and send it as 'Authorization: Bearer <key>':",
        f"    {manage('issue_api_key --organization demo --name ci')}",
        f"Logs are in {settings.DATA_DIR / 'logs'}; Ctrl-C stops everything, clusters included.",
        "",
    ]
    return "\n".join(lines)


def manage(command: str) -> str:
    """Return a command line that can be pasted into another terminal: it uses the settings, data
    directory, database, broker and secret key of this console.
    """
    assignments = []
    if settings.SETTINGS_MODULE != "vbase_console.settings.embedded":
        assignments.append(f"DJANGO_SETTINGS_MODULE={settings.SETTINGS_MODULE}")
    if Path(settings.BASE_DIR) / "var" != settings.DATA_DIR:
        assignments.append(f"VBASE_DATA_DIR={shlex.quote(str(settings.DATA_DIR))}")
    assignments += repeated("VBASE_SECRET_KEY", "VBASE_DATABASE_URL", "VBASE_BROKER_URL")
    python, base = Path(sys.executable), Path(settings.BASE_DIR)
    python = python.relative_to(base) if python.is_relative_to(base) else python
    return " ".join([*assignments, str(python), "manage.py", command])
