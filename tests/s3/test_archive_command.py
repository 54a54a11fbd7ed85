"""`python -m backups.archive` on an archive in a bucket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backups.archive import fetching
from backups.stores import load_store
from backups.stores.base import put
from backups.stores.s3 import S3Store
from tests.archive.conftest import ARCHIVE, small_contents, write_archive
from tests.archive.test_command import NOT_NEEDED, ROOT


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backups.archive", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def archive(s3: S3Store, s3_url: str) -> str:
    write_archive(s3, small_contents())
    return f"{s3_url}/{ARCHIVE}"


def test_a_sound_archive_is_verified(archive: str) -> None:
    done = command("verify", archive)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{archive}: sound\n", "")


def test_a_foreign_file_is_named(archive: str) -> None:
    put(load_store(archive), "parts/foreign", b"rows")
    done = command("verify", archive)
    assert (done.returncode, done.stdout) == (
        1,
        "parts/foreign: this file does not belong to the archive\n",
    )


def test_a_missing_part_is_named(archive: str) -> None:
    store = load_store(archive)
    part = next(entry.key for entry in store.list("parts"))
    store.delete(part)
    done = command("verify", archive)
    assert (done.returncode, done.stdout) == (1, f"{part}: it is missing\n")


def test_it_is_shown(archive: str) -> None:
    done = command("show", archive)
    assert (done.returncode, "2 collections, 16 rows" in done.stdout) == (0, True)


def test_it_is_exported(archive: str, tmp_path: Path) -> None:
    done = command("export", archive, "--to", str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "out" / "books" / "schema.json").read_text())


def test_the_archives_of_a_bucket_are_listed(archive: str, s3_url: str) -> None:
    done = command("list", s3_url)
    assert (done.returncode, done.stdout) == (0, f"{archive}\n")


def test_a_place_without_archives_says_so(s3: S3Store, s3_url: str) -> None:
    done = command("list", s3_url)
    assert (done.returncode, done.stderr) == (2, f"{s3_url} contains no archive.\n")


def test_a_store_that_cannot_be_reached_is_no_damage(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VBASE_S3_SECRET_ACCESS_KEY", "wrong")
    done = command("verify", f"{s3_url}/x")
    assert done.returncode != 0
    assert "Check VBASE_S3_SECRET_ACCESS_KEY" in done.stdout
    assert "missing" not in done.stdout


def test_a_variable_that_is_wrong_is_named(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VBASE_S3_ENDPOINT", "nowhere")
    done = command("verify", f"{s3_url}/x")
    assert (done.returncode, "VBASE_S3_ENDPOINT must be" in done.stderr) == (2, True)


def test_it_needs_neither_django_nor_the_console() -> None:
    program = (
        "import sys, re; import backups.archive.__main__, backups.archive.verify, "
        "backups.archive.foreign, backups.stores.s3; "
        f"print([m for m in sys.modules if re.match(r'({NOT_NEEDED})\\b', m)])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n"


TAKEN_OVER = """
import os, runpy, socket, sys, types

def attempts():
    yield "secret", lambda: [v for n, v in os.environ.items() if n.startswith("VBASE_S3_")][0]
    yield "connect", lambda: socket.create_connection(("127.0.0.1", {port}), timeout=5)
    yield "read", lambda: open("/etc/hostname").read()
    yield "write", lambda: open("{directory}/new", "w")

def findings(store, prefix):
    for name, attempt in attempts():
        try:
            attempt()
        except (PermissionError, IndexError):
            continue
        return [name]
    return []

taken_over = types.ModuleType("backups.archive.verify")
taken_over.findings = findings
sys.modules[taken_over.__name__] = taken_over
sys.argv[1:] = {arguments}
runpy.run_module("backups.archive", run_name="__main__")
"""


def test_a_reader_that_an_archive_has_taken_over_reaches_neither_key_nor_network(
    archive: str, tmp_path: Path, s3: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    port = int(s3.options.endpoint.rpartition(":")[2])
    hostile = tmp_path / "hostile.py"
    arguments = ["verify", archive, "--fetched"]
    hostile.write_text(
        TAKEN_OVER.format(port=port, directory=tmp_path, arguments=f"{arguments!r} + sys.argv[-1:]")
    )
    process, requests, answers = fetching.start_reader(
        "hostile", [], cwd=tmp_path, stdout=subprocess.PIPE
    )
    with process, requests, answers:
        fetching.Fetcher(s3).serve(requests, answers)
        said = process.stdout.read() if process.stdout else b""
    assert (process.returncode, said.decode()) == (0, f"{archive}: sound\n")
