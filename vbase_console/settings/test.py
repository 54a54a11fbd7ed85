"""Embedded settings with a temporary data directory, short leases and the memory driver."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "VBASE_DATA_DIR" not in os.environ:
    _directory = tempfile.mkdtemp(prefix="vbase-test-")
    os.environ["VBASE_DATA_DIR"] = _directory
    atexit.register(shutil.rmtree, _directory, ignore_errors=True)
os.environ.setdefault("VBASE_LEASE_SECONDS", "1")
os.environ.setdefault("VBASE_SWEEP_SECONDS", "0.5")
os.environ.setdefault("VBASE_CLUSTER_DRIVER", "memory")

from vbase_console.settings.embedded import *

# Concurrent threads on an in-memory database fail at random; a file behaves as in production.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": str(Path(DATA_DIR) / "test.sqlite3")}
    # Tests do not need data to survive a power failure.
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA synchronous=OFF"
else:
    # The pool outlives a test and keeps the database from being dropped.
    DATABASES["default"]["OPTIONS"].pop("pool", None)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage",
}
WHITENOISE_AUTOREFRESH = True
