"""Collect static files only if they changed, because collecting compresses all of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

UNUSED = ("rest_framework", "django_htmx", "redoc")
"""Names of directories that libraries bring for pages that the console does not have: the browsable
API, other versions of htmx and another viewer of the API's document. They are a third of the
files.
"""


def collect_static_files() -> bool:
    root = Path(settings.STATIC_ROOT)
    stamp = root / ".collected"
    fingerprint = _fingerprint()
    if stamp.exists() and stamp.read_text() == fingerprint:
        return False
    stamp.unlink(missing_ok=True)
    call_command(
        "collectstatic", interactive=False, clear=True, verbosity=0, ignore_patterns=[*UNUSED]
    )
    stamp.write_text(fingerprint)
    return True


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for setting in (
        settings.STORAGES["staticfiles"]["BACKEND"],
        settings.WHITENOISE_KEEP_ONLY_HASHED_FILES,
        settings.WHITENOISE_SKIP_COMPRESS_EXTENSIONS,
    ):
        digest.update(f"{setting}\n".encode())
    for finder in get_finders():
        for name, storage in finder.list(ignore_patterns=UNUSED):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
