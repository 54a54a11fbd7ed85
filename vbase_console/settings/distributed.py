"""Settings for many machines: secrets and addresses are required, and a proxy serves HTTPS."""

from __future__ import annotations

from vbase_console.settings.base import *
from vbase_console.settings.connections import broker_options, database_settings
from vbase_console.settings.env import (
    env_bool,
    env_choice,
    env_networks,
    env_secret,
    required,
)

DEBUG = False
DEMO_NEEDS_CONFIRMATION = True
SECRET_KEY = required("VBASE_SECRET_KEY", env_secret("VBASE_SECRET_KEY"))
DATABASES = {
    "default": database_settings(required("VBASE_DATABASE_URL", env_secret("VBASE_DATABASE_URL")))
}
CELERY_BROKER_URL = required("VBASE_BROKER_URL", env_secret("VBASE_BROKER_URL"))
CELERY_BROKER_TRANSPORT_OPTIONS = broker_options(CELERY_BROKER_URL, LEASE_SECONDS)
CLUSTER_DRIVER = env_choice("VBASE_CLUSTER_DRIVER", "embedded", ("embedded", "memory"))
ORGANIZATION_CREATION = env_choice("VBASE_ORGANIZATION_CREATION", "staff", ("anyone", "staff"))
ATTACH_NETWORKS = env_networks("VBASE_ATTACH_NETWORKS", [])
WEBHOOK_NETWORKS = env_networks("VBASE_WEBHOOK_NETWORKS", ["public"])

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env_bool("VBASE_SSL_REDIRECT", True)
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
