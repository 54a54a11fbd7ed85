"""Requests of the store, recorded by a proxy."""

from __future__ import annotations

import base64
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from backups.archive.verify import findings
from backups.stores import s3 as s3_module
from backups.stores import s3_requests
from backups.stores.base import ObjectExists, ObjectMissing, StoreError, put
from backups.stores.s3 import S3Store
from tests.archive.conftest import ARCHIVE, small_contents, write_archive
from tests.s3.proxy import HARMLESS, Harm, Proxy, Request, status

ALWAYS_503 = status(503, reaches_server=False)


LAST_MODIFIED = "<LastModified>2026-11-22T09:00:00.000Z</LastModified>"


class LeaseGone(Exception):
    pass


def on_first(proxy: Proxy, method: str, harm: Harm) -> None:
    left = [harm]

    def plan(request: Request) -> Harm:
        return left.pop() if left and request.method == method else HARMLESS

    proxy.plan = plan


def writes(proxy: Proxy) -> list[Request]:
    return [request for request in proxy.requests if request.method in ("PUT", "POST")]


def test_every_object_of_an_archive_is_one_put_with_its_hash(behind: S3Store, proxy: Proxy) -> None:
    manifest = write_archive(behind, small_contents())
    parts = {f"{part.sha256}.parquet" for part in manifest.parts}
    assert [request.name for request in writes(proxy)].count("manifest.json") == 1
    assert {request.name for request in writes(proxy)} == {*parts, "manifest.json"}
    for request in writes(proxy):
        assert request.method == "PUT"
        assert parse_qs(urlsplit(request.path).query) == {}
        assert request.headers["if-none-match"] == "*"
        checksum = base64.b64decode(request.headers["x-amz-checksum-sha256"]).hex()
        assert request.name in (f"{checksum}.parquet", "manifest.json")


def test_a_lost_answer_is_no_lost_object(behind: S3Store, proxy: Proxy) -> None:
    """The object is there, and the repeated request finds it. The writer compares the content."""
    on_first(proxy, "PUT", status(503))
    write_archive(behind, small_contents())
    assert findings(behind, ARCHIVE) == []


def test_a_conflict_is_not_an_object(behind: S3Store, proxy: Proxy, s3: S3Store) -> None:
    """S3 answers 409 where a concurrent request interfered, and has stored nothing."""
    on_first(proxy, "PUT", status(409, "ConditionalRequestConflict", reaches_server=False))
    put(behind, "a", b"rows")
    assert s3.read("a", limit=10) == b"rows"


def test_bytes_that_change_on_the_way_are_refused_and_sent_again(
    behind: S3Store, proxy: Proxy, s3: S3Store
) -> None:
    on_first(proxy, "PUT", Harm(alters_upload=True))
    put(behind, "a", b"rows")
    assert (s3.read("a", limit=10), len(writes(proxy))) == (b"rows", 2)


@pytest.mark.usefixtures("gives_up_soon")
def test_a_store_that_stays_unreachable_fails_with_a_reason(behind: S3Store, proxy: Proxy) -> None:
    proxy.plan = lambda request: ALWAYS_503
    with pytest.raises(StoreError, match=r"Could not write a in s3://.*503 \(SlowDown") as failed:
        put(behind, "a", b"rows")
    assert not failed.value.permanent


def test_what_a_repetition_cannot_change_is_not_repeated(behind: S3Store, proxy: Proxy) -> None:
    proxy.plan = lambda request: status(403, "AccessDenied", reaches_server=False)
    with pytest.raises(StoreError, match=r"AccessDenied.*docs/operations\.md") as failed:
        put(behind, "a", b"rows")
    assert (failed.value.permanent, len(proxy.requests)) == (True, 1)


def test_an_error_repeats_no_long_word_of_the_store(behind: S3Store, proxy: Proxy) -> None:
    """It could be a token that the store has been sent."""
    token = "FwoGZXIvYXdzEXAMPLE"
    proxy.plan = lambda request: status(400, "Odd", f"No: {token}", reaches_server=False)
    with pytest.raises(StoreError, match="Odd No: …") as failed:
        put(behind, "a", b"rows")
    assert token not in str(failed.value)


def test_a_lost_lease_cuts_the_request(behind: S3Store, proxy: Proxy, s3: S3Store) -> None:
    called = []

    def guard() -> None:
        called.append(True)
        if len(called) == 3:
            raise LeaseGone

    proxy.plan = lambda request: Harm(reaches_server=False, waits_for=threading.Event())
    with pytest.raises(LeaseGone):
        put(behind, "a", b"rows", guard)
    assert proxy.closed_early.wait(10)
    assert s3.size("a") is None


def test_a_lost_lease_ends_the_repetitions(behind: S3Store, proxy: Proxy) -> None:
    called = []

    def guard() -> None:
        called.append(True)
        if len(called) == 4:
            raise LeaseGone

    proxy.plan = lambda request: ALWAYS_503
    with pytest.raises(LeaseGone):
        put(behind, "a", b"rows", guard)


@pytest.mark.usefixtures("gives_up_soon")
def test_a_request_without_an_answer_ends(
    behind: S3Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_requests, "STALL_SECONDS", 0.2)
    proxy.plan = lambda request: Harm(waits_for=threading.Event())
    with pytest.raises(StoreError, match=r"not answered|no byte"):
        behind.read("a", limit=10)


@pytest.mark.parametrize(
    "harm",
    [
        Harm(download_ends_after=0.5),
        Harm(announces_more=3),
        Harm(announces_more=-3),
        status(500, "InternalError"),
    ],
    ids=["cut", "more announced", "less announced", "error"],
)
def test_a_broken_answer_is_asked_for_again(
    behind: S3Store, proxy: Proxy, s3: S3Store, harm: Harm
) -> None:
    put(s3, "a", b"rows" * 1000)
    on_first(proxy, "GET", harm)
    assert behind.read("a", limit=10_000) == b"rows" * 1000


@pytest.mark.usefixtures("gives_up_soon")
def test_an_answer_that_stays_broken_is_no_damage(
    behind: S3Store, proxy: Proxy, s3: S3Store
) -> None:
    """Damage would change what retention keeps."""
    write_archive(s3, small_contents())
    parts = Harm(download_ends_after=0.5)
    proxy.plan = lambda request: parts if request.name.endswith(".parquet") else HARMLESS
    with pytest.raises(StoreError):
        findings(behind, ARCHIVE)


def test_a_missing_bucket_is_not_a_missing_object(s3_url: str, s3: S3Store) -> None:
    from backups.stores import load_store

    elsewhere = load_store(s3_url.replace("backups", "no-such-bucket"))
    with pytest.raises(StoreError, match=r"NoSuchBucket.*Create the bucket") as failed:
        elsewhere.read("a", limit=1)
    assert not isinstance(failed.value, ObjectMissing)


def test_an_interrupted_listing_continues(behind: S3Store, proxy: Proxy, s3: S3Store) -> None:
    for key in ("a", "b", "c"):
        put(s3, key, b"")
    on_first(proxy, "GET", status(503))
    assert [entry.key for entry in behind.list("")] == ["a", "b", "c"]


def test_an_existing_object_is_told_after_its_repetition(
    behind: S3Store, proxy: Proxy, s3: S3Store
) -> None:
    put(s3, "a", b"first")
    on_first(proxy, "PUT", status(503, reaches_server=False))
    with pytest.raises(ObjectExists):
        put(behind, "a", b"second")
    assert s3.read("a", limit=10) == b"first"


def test_a_deletion_that_is_refused_for_one_object_is_told(
    behind: S3Store, proxy: Proxy, s3: S3Store
) -> None:
    """The answer to a batch has the status 200, and an error for each object that stays."""
    put(s3, "a", b"")
    key = f"{s3.options.prefix}/a"
    error = f"<Error><Key>{key}</Key><Code>AccessDenied</Code><Message>No</Message></Error>"
    body = f"<DeleteResult>{error}</DeleteResult>".encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    proxy.plan = lambda request: Harm(reaches_server=False, answers=head + body)
    with pytest.raises(StoreError, match="AccessDenied") as failed:
        behind.delete("a")
    assert (failed.value.permanent, len(proxy.requests)) == (True, 1)


def test_a_key_that_no_console_writes_is_named(behind: S3Store, proxy: Proxy, s3: S3Store) -> None:
    """It would make a listing incomplete without a word."""
    key = f"{s3.options.prefix}/a//b"
    content = f"<Contents><Key>{key}</Key><Size>1</Size>{LAST_MODIFIED}</Contents>"
    body = f"<ListBucketResult>{content}</ListBucketResult>".encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    proxy.plan = lambda request: Harm(reaches_server=False, answers=head + body)
    with pytest.raises(StoreError, match=r"not one of a console.*a//b.*Delete it") as failed:
        list(behind.list(""))
    assert failed.value.permanent


def pages(proxy: Proxy, prefix: str, broken: int) -> None:
    """Three pages of one key each; the page with this number is not answered at first."""
    asked: list[str] = []

    def plan(request: Request) -> Harm:
        asked.append(request.path)
        query = parse_qs(urlsplit(request.path).query)
        token = query.get("continuation-token", query.get("start-after", [""]))[0]
        number = int(token.rpartition("/")[2] or 0)
        if number == broken and asked.count(request.path) == 1:
            return status(503, reaches_server=False)
        return listing(f"{prefix}/{number + 1}", is_last=number == 2)

    proxy.plan = plan


def listing(key: str, *, is_last: bool) -> Harm:
    token = "" if is_last else f"<NextContinuationToken>{key}</NextContinuationToken>"
    content = f"<Contents><Key>{key}</Key><Size>1</Size>{LAST_MODIFIED}</Contents>"
    body = f"<ListBucketResult>{content}{token}</ListBucketResult>".encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return Harm(reaches_server=False, answers=head + body)


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_listing_continues_after_the_page_that_failed(
    behind: S3Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    monkeypatch.setattr(s3_module, "PAGE_SIZE", 1)
    pages(proxy, behind.options.prefix, broken)
    assert [entry.key for entry in behind.list("")] == ["1", "2", "3"]
