"""Empty databases with all migrations: made once, then copied.

The migrations take a second of processor time, and a run of the tests needs them thirty times.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
KEPT = PROJECT / ".pytest_cache" / "migrated"
TEMPLATE_VARIABLE = "VBASE_TEST_TEMPLATE"
"""Name of the migrated database on the PostgreSQL server of this run."""
OWN_MIGRATIONS = (
    "vbase_console/*/migrations/*.py",
    "clusters/migrations/*.py",
    "backups/**/migrations/*.py",
)


def copy_migrated(target: Path) -> None:
    """Write a migrated SQLite database to a file that does not exist."""
    source = KEPT / f"{_digest()}.sqlite3"
    with _only_one():
        if not source.exists():
            _migrate(source)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    target.chmod(0o600)


def migrate(**environment: str) -> None:
    """Migrate the database of these variables, such as VBASE_DATABASE_URL."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("VBASE_")}
    with tempfile.TemporaryDirectory(prefix="vbase-migrated-") as directory:
        variables = {
            "DJANGO_SETTINGS_MODULE": "vbase_console.settings.embedded",
            "VBASE_DATA_DIR": directory,
        }
        command = [sys.executable, str(PROJECT / "manage.py"), "migrate", "--verbosity=0"]
        subprocess.run(command, env=own | variables | environment, check=True)


def _migrate(target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vbase-migrated-") as directory:
        migrate(VBASE_DATA_DIR=directory)
        partial = target.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(Path(directory) / "console.sqlite3")) as database:
            database.execute("VACUUM INTO ?", [str(partial)])  # one file, without its log
        with contextlib.closing(sqlite3.connect(partial)) as database:
            database.execute("PRAGMA journal_mode=WAL")  # as `prepare` sets it
    for earlier in KEPT.glob("*.sqlite3"):
        earlier.unlink()
    partial.replace(target)


def _digest() -> str:
    """Digest of all that a migrated database depends on."""
    migrations = sorted(path for pattern in OWN_MIGRATIONS for path in PROJECT.glob(pattern))
    digest = hashlib.sha256()
    for path in (PROJECT / "requirements" / "console.txt", *migrations):
        digest.update(path.relative_to(PROJECT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
