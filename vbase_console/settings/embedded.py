"""Settings for one machine without configuration. All data is stored in the data directory."""

from __future__ import annotations

from vbase_console.settings.base import *
from vbase_console.settings.connections import broker_options, database_settings, sqlite_url
from vbase_console.settings.env import env_choice, env_networks, env_secret, generated_secret

DEBUG = False
SECRET_KEY = env_secret("VBASE_SECRET_KEY") or generated_secret(DATA_DIR / "secrets" / "secret_key")
DATABASES = {
    "default": database_settings(
        env_secret("VBASE_DATABASE_URL") or sqlite_url(DATA_DIR / "console.sqlite3")
    )
}

BROKER_PASSWORD_FILE = DATA_DIR / "secrets" / "broker_password"
BROKER_URL_FILE = DATA_DIR / "run" / "broker_url"
"""Written by the supervisor when it starts the broker, readable by the owner only."""


CELERY_BROKER_URL = (
    env_secret("VBASE_BROKER_URL")
    or (BROKER_URL_FILE.read_text().strip() if BROKER_URL_FILE.exists() else "")
    or "redis://127.0.0.1:1/0"  # an address without a listener, until the broker is started
)
CELERY_BROKER_TRANSPORT_OPTIONS = broker_options(CELERY_BROKER_URL, LEASE_SECONDS)

CLUSTER_DRIVER = env_choice("VBASE_CLUSTER_DRIVER", "embedded", ("embedded", "memory"))
ORGANIZATION_CREATION = env_choice("VBASE_ORGANIZATION_CREATION", "anyone", ("anyone", "staff"))
ATTACH_NETWORKS = env_networks("VBASE_ATTACH_NETWORKS", ["loopback", "private"])
WEBHOOK_NETWORKS = env_networks("VBASE_WEBHOOK_NETWORKS", ["loopback", "private", "public"])
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
