"""The archive command reads a hostile archive: its process reaches that and the export only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTILE = """
import os, runpy, socket, sys, types

archive, canary, port, bystander = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def attempts():
    yield "read", lambda: open(f"{canary}/file").read()
    yield "write", lambda: open(f"{canary}/file", "a")
    yield "create", lambda: open(f"{canary}/new", "w")
    yield "delete", lambda: os.unlink(f"{canary}/file")
    yield "link", lambda: os.link(f"{canary}/file", f"{archive}/linked")
    yield "change the archive", lambda: open(f"{archive}/new", "w")
    yield "connect", lambda: socket.create_connection(("127.0.0.1", port), timeout=5)
    yield "signal", lambda: os.kill(bystander, 9)
    yield "start a program", lambda: os.execv("/bin/true", ["true"])

def findings(store, prefix):
    for name, attempt in attempts():
        try:
            attempt()
        except PermissionError:
            continue
        return [name]
    return []

# Stands for code of the reader that a hostile archive has taken over.
taken_over = types.ModuleType("backups.archive.verify")
taken_over.findings = findings
sys.modules[taken_over.__name__] = taken_over
sys.argv[1:] = ["verify", archive]
runpy.run_module("backups.archive", run_name="__main__")
"""


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return program("-m", "backups.archive", *arguments)


def program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def said(done: subprocess.CompletedProcess[str]) -> Sequence[object]:
    return done.returncode, done.stdout, done.stderr


def test_a_sound_archive_is_verified_in_a_confined_process(directory: Path) -> None:
    assert said(command("verify", directory)) == (0, f"{directory}: sound\n", "")


def test_an_export_is_written_in_a_confined_process(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "not there yet" / "out"
    done = command("export", directory, "--to", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert (target / "books" / "schema.json").exists()


def test_a_reader_that_an_archive_has_taken_over_reaches_nothing_else(
    directory: Path, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_text("the canary is alive")
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        subprocess.Popen(["sleep", "infinity"]) as bystander,
    ):
        port = listening.getsockname()[1]
        done = program("-c", HOSTILE, directory, canary, str(port), str(bystander.pid))
        is_alive = bystander.poll() is None
        bystander.kill()
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert said(done) == (0, f"{directory}: sound\n", "")
    assert is_alive
    assert (os.listdir(canary), (canary / "file").read_text()) == (["file"], "the canary is alive")
    assert not (directory / "linked").exists()


WITHOUT_SANDBOX = """
import runpy, sys
sys.modules["clusters"] = None
sys.argv[1:] = ["verify", sys.argv[1]]
runpy.run_module("backups.archive", run_name="__main__")
"""


def test_a_copy_without_the_console_works_and_says_that_it_is_not_confined(directory: Path) -> None:
    done = program("-c", WITHOUT_SANDBOX, directory)
    assert (done.returncode, done.stdout) == (0, f"{directory}: sound\n")
    assert "not confined" in done.stderr
