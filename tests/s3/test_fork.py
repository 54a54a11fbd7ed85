"""A worker is forked from a process that has loaded its settings. Its clients are its own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal, sys
from backups.stores import load_store
from backups.stores.base import StoreError, put

signal.alarm(60)
store = load_store(sys.argv[1])
if sys.argv[2] == "used":
    put(store, "parent", b"")
if not os.fork():
    try:
        put(store, "child", b"")
        print("written")
    except StoreError as error:
        print(error)
else:
    os.wait()
"""


def forked(url: str, parent: str) -> str:
    command = [sys.executable, "-c", PROGRAM, url, parent]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout


def test_a_store_that_was_loaded_before_the_fork_works_behind_it(s3_url: str) -> None:
    assert forked(s3_url, "unused") == "written\n"


def test_a_store_that_was_used_before_the_fork_is_refused_instead_of_hanging(s3_url: str) -> None:
    assert "had already used the S3 store" in forked(s3_url, "used")
