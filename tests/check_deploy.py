"""`manage.py check --deploy` on the distributed settings, with an environment made up for it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

MADE_UP = {
    "DJANGO_SETTINGS_MODULE": "vbase_console.settings.distributed",
    "VBASE_SECRET_KEY": secrets.token_urlsafe(64),
    "VBASE_DATABASE_URL": "postgresql://console@database.example/console",
    "VBASE_BROKER_URL": "amqp://console@broker.example//",
    "VBASE_ALLOWED_HOSTS": "console.example.com",
}

if __name__ == "__main__":
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    sys.exit(subprocess.run(command, env={**os.environ, **MADE_UP}, check=False).returncode)
