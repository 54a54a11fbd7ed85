"""Sources of the access key, and places that must not contain it."""

from __future__ import annotations

import datetime
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.stores import load_store, s3
from backups.stores.base import StoreError, put
from tests.s3.server import KEY, SECRET, S3Server, new_url

ROLE = "role-of-the-instance"


class Instance(http.server.BaseHTTPRequestHandler):
    """The metadata of a machine that has a role."""

    def do_PUT(self) -> None:
        self.answer("token of the metadata")

    def do_GET(self) -> None:
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        credentials = {
            "AccessKeyId": KEY,
            "SecretAccessKey": SECRET,
            "Token": "",
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": "2026-11-22T09:00:00Z",
            "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        }
        self.answer(json.dumps(credentials) if self.path.endswith(ROLE) else ROLE)

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def instance() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Instance) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_without_a_key_the_role_of_the_instance_is_used(
    s3_server: S3Server, instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VBASE_S3_ENDPOINT", s3_server.endpoint)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", instance)
    store = load_store(new_url())
    put(store, "a", b"rows")
    assert store.read("a", limit=10) == b"rows"


def test_a_key_in_a_file_is_read_again(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Temporary credentials are renewed by another program, and the console goes on."""
    secret = tmp_path / "secret"
    monkeypatch.setattr(s3, "CREDENTIALS_LIFETIME", datetime.timedelta(0))
    monkeypatch.setenv("VBASE_S3_ENDPOINT", s3_server.endpoint)
    monkeypatch.setenv("VBASE_S3_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("VBASE_S3_SECRET_ACCESS_KEY_FILE", str(secret))
    secret.write_text("not valid any more")
    store = load_store(new_url())
    with pytest.raises(StoreError, match=r"SignatureDoesNotMatch.*VBASE_S3_SECRET_ACCESS_KEY"):
        put(store, "a", b"rows")
    secret.write_text(SECRET)
    put(store, "a", b"rows")


def test_no_error_contains_the_secret(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.variables(SECRET_ACCESS_KEY="wrong and hidden").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError) as failed:
        put(load_store(new_url()), "a", b"rows")
    assert "hidden" not in f"{failed.value!r} {failed.value.__cause__!r}"
