"""The console as it is served, with the yardstick's address beside its own."""

from __future__ import annotations

from django.conf import settings

from vbase_console.wsgi import application

# Static files are not collected.
settings.STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}
settings.ROOT_URLCONF = "benchmarks.urls"

__all__ = ["application"]
