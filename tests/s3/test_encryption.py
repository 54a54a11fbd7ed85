"""Server-side encryption: the console asks for it with every object, and the store encrypts."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from backups.stores import load_store
from backups.stores.base import Store, put
from backups.stores.proof import prove
from backups.stores.s3 import S3Store
from tests.s3.proxy import Harm, Proxy
from tests.s3.server import S3Server

CREATED = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "x"\r\nConnection: close\r\n\r\n'
Encrypting = Callable[[str, str], Store]


@pytest.fixture
def encrypting(behind: S3Store, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Encrypting:
    """A store with this kind of encryption and this key, through the proxy."""

    def store(kind: str, key: str = "") -> Store:
        monkeypatch.setenv("VBASE_S3_SERVER_SIDE_ENCRYPTION", kind)
        monkeypatch.setenv("VBASE_S3_KMS_KEY_ID", key)
        return load_store(s3_url)

    return store


def asked(proxy: Proxy) -> list[tuple[str | None, str | None]]:
    """Encryption and key that the requests for new objects have asked for."""
    prefix = "x-amz-server-side-encryption"
    return [
        (request.headers.get(prefix), request.headers.get(f"{prefix}-aws-kms-key-id"))
        for request in proxy.requests
        if request.method == "PUT"
    ]


@pytest.mark.parametrize(
    ("kind", "key"), [("AES256", ""), ("aws:kms", ""), ("aws:kms", "arn:aws:kms:eu:1:key/2")]
)
def test_every_new_object_asks_for_the_encryption(
    encrypting: Encrypting, proxy: Proxy, kind: str, key: str
) -> None:
    proxy.plan = lambda request: Harm(answers=CREATED, reaches_server=False)
    put(encrypting(kind, key), "org/backup/manifest.json", b"{}")
    assert asked(proxy) == [(kind, key or None)]


def test_without_the_setting_the_bucket_decides(behind: S3Store, proxy: Proxy) -> None:
    put(behind, "org/backup/manifest.json", b"{}")
    assert asked(proxy) == [(None, None)]


def is_on_disk(server: S3Server, text: bytes) -> bool:
    files = (file for file in (server.directory / "data").rglob("*") if file.is_file())
    return any(text in file.read_bytes() for file in files)


def test_an_encrypted_object_is_unreadable_on_the_servers_disk_and_read_through_it(
    encrypting: Encrypting, s3: S3Store, s3_server: S3Server
) -> None:
    plain, encrypted = (secrets.token_hex(2_000).encode() for _ in range(2))
    put(s3, "plain", plain)
    put(encrypting("AES256"), "encrypted", encrypted)
    assert (is_on_disk(s3_server, plain), is_on_disk(s3_server, encrypted)) == (True, False)
    assert encrypting("AES256").read("encrypted", limit=10_000) == encrypted


def test_an_encrypting_store_has_all_that_backups_need(encrypting: Encrypting) -> None:
    assert [check.problem for check in prove(encrypting("AES256"))] == [""] * 8
