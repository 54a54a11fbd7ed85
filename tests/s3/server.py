"""A real S3 server, SeaweedFS from PyPI, on 127.0.0.1, started by the first test that needs it."""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

BUCKET = "backups"
KEY, SECRET = "vbase-tests", "a secret of the tests"
LEAST_KEY, LEAST_SECRET = "least-privilege", "another secret of the tests"
LEAST_PREFIX = "least"
START_SECONDS = 60
_PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc"),
    *("filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc", "s3.port.iceberg"),
    *("s3.port.lance", "metricsPort", "admin.port", "admin.port.grpc"),
)
_IDENTITIES = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        },
        {
            "name": "least",
            "credentials": [{"accessKey": LEAST_KEY, "secretKey": LEAST_SECRET}],
            "actions": [
                f"{action}:{BUCKET}/{LEAST_PREFIX}/*" for action in ("Read", "Write", "List")
            ],
        },
    ]
}
_numbers = itertools.count()


class S3Server:
    """The server process and its addresses. The data directory is removed at the end."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="vbase-s3-"))
        self.ports = {name: free_port() for name in _PORTS}
        self.endpoint = f"http://127.0.0.1:{self.ports['s3.port']}"
        self.log = self.directory / "log"
        identities = self.directory / "identities.json"
        identities.write_text(json.dumps(_IDENTITIES))
        (self.directory / "data").mkdir()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    Path(sys.executable).with_name("weed"),
                    *("mini", "-webdav=false", "-admin.ui=false", "-s3.iam=false"),
                    *("-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                    *(f"-dir={self.directory / 'data'}", f"-s3.config={identities}"),
                    *("-master.volumeSizeLimitMB=64", "-master.telemetry=false"),
                    *(f"-{name}={port}" for name, port in self.ports.items()),
                ],
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Wait until the bucket exists. The filer makes a bucket from a directory."""
        bucket = f"http://127.0.0.1:{self.ports['filer.port']}/buckets/{BUCKET}/"
        self._wait_for(bucket, "POST")
        self._wait_for(f"{self.endpoint}/status", "GET")

    def _wait_for(self, address: str, method: str) -> None:
        until = time.monotonic() + START_SECONDS
        while not _answers(address, method):
            if time.monotonic() > until or self.process.poll() is not None:
                last = "\n".join(self.log.read_text().splitlines()[-20:])
                raise AssertionError(f"The S3 server did not start:\n{last}")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
        for port in self.ports.values():
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                socket_file.unlink()

    def variables(self, **changes: str) -> dict[str, str]:
        """The variables of a console that uses this server."""
        return {
            "VBASE_S3_ENDPOINT": self.endpoint,
            "VBASE_S3_ACCESS_KEY_ID": KEY,
            "VBASE_S3_SECRET_ACCESS_KEY": SECRET,
            **{f"VBASE_S3_{name}": value for name, value in changes.items()},
        }


def new_url() -> str:
    """A part of the bucket that no other test uses."""
    return f"s3://{BUCKET}/{secrets.token_hex(4)}-{next(_numbers)}"


@contextlib.contextmanager
def running() -> Iterator[S3Server]:
    server = S3Server()
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with running() as server:
        yield server


@pytest.fixture
def s3_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store, with the variables that it needs."""
    for name, value in s3_server.variables().items():
        monkeypatch.setenv(name, value)
    return new_url()


def _answers(address: str, method: str) -> bool:
    request: Any = urllib.request.Request(address, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return bool(answer.status < 300)
    except OSError:
        return False
