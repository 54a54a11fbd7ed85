"""`manage.py check_store` proves a store, and names what one lacks."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from backups.stores.base import put
from backups.stores.s3 import S3Store
from tests.s3.proxy import HARMLESS, Harm, Proxy, Request, status

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "x"\r\n\r\n'
Lacking = Callable[[Request], Harm]


def said(store: str, settings: Any, *options: str) -> tuple[int, str]:
    settings.BACKUP_STORE = store
    output, code = io.StringIO(), 0
    try:
        call_command("check_store", "--mib", "1", *options, stdout=output)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, output.getvalue()


@pytest.fixture
def through_proxy(behind: S3Store, s3_url: str) -> str:
    return s3_url


@pytest.mark.parametrize("kind", ["directory", "s3"])
def test_a_store_that_has_all_is_proven_and_measured(
    request: pytest.FixtureRequest, settings: Any, tmp_path: Path, kind: str
) -> None:
    url = str(tmp_path) if kind == "directory" else request.getfixturevalue("s3_url")
    code, text = said(url, settings)
    assert (code, text.count("ok      ")) == (0, 8)
    assert "MB/s written" in text
    assert "has all that is needed" in text


def test_it_leaves_nothing_behind(s3: S3Store, s3_url: str, settings: Any) -> None:
    said(s3_url, settings)
    assert list(s3.list("")) == []


def test_it_removes_what_a_killed_check_has_left(s3: S3Store, s3_url: str, settings: Any) -> None:
    put(s3, "_check/1000000000-dead/object", b"")
    put(s3, "org/backup/manifest.json", b"")
    said(s3_url, settings)
    assert [entry.key for entry in s3.list("")] == ["org/backup/manifest.json"]


def ignores_conditions(request: Request) -> Harm:
    """Every writer of the raced object hears that it has created it."""
    return Harm(answers=OK) if request.name == "raced" and request.method == "PUT" else HARMLESS


def ignores_checksums(request: Request) -> Harm:
    is_wrong = request.name == "altered-False" and request.method == "PUT"
    return Harm(answers=OK) if is_wrong else HARMLESS


def lists_late(request: Request) -> Harm:
    body = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></ListBucketResult>'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return Harm(answers=head + body) if "list-type" in request.path else HARMLESS


def keeps_what_is_deleted(request: Request) -> Harm:
    body = b"<DeleteResult><Deleted><Key>pretended</Key></Deleted></DeleteResult>"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    is_deletion = request.method == "POST"
    return Harm(answers=head + body, reaches_server=False) if is_deletion else HARMLESS


@pytest.mark.parametrize(
    ("lacking", "lack", "remedy"),
    [
        (ignores_conditions, "refuse the others", "conditional writes (If-None-Match: *)"),
        (ignores_checksums, "SHA-256 is wrong", "x-amz-checksum-sha256"),
        (lists_late, "list it right after", "must be complete at once"),
        (keeps_what_is_deleted, "delete objects", "still there"),
    ],
)
def test_it_names_what_a_store_lacks(
    through_proxy: str, proxy: Proxy, settings: Any, lacking: Lacking, lack: str, remedy: str
) -> None:
    proxy.plan = lacking
    code, text = said(through_proxy, settings)
    assert code == 1
    (line,) = [line for line in text.splitlines() if line.startswith("LACKS")]
    assert (lack in line, remedy in line) == (True, True)


def test_a_wrong_key_names_its_setting(
    through_proxy: str, proxy: Proxy, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VBASE_S3_SECRET_ACCESS_KEY", "wrong")
    code, text = said(through_proxy, settings, "--at-start")
    assert (code, "Check VBASE_S3_SECRET_ACCESS_KEY" in text) == (1, True)


@pytest.mark.usefixtures("gives_up_soon")
def test_an_outage_stops_no_process(through_proxy: str, proxy: Proxy, settings: Any) -> None:
    proxy.plan = lambda request: status(503, reaches_server=False)
    assert said(through_proxy, settings)[0] == 1
    code, text = said(through_proxy, settings, "--at-start")
    assert (code, text.startswith("silent")) == (0, True)
