"""A backup store in S3 or a compatible object store.

An object is one PUT with its SHA-256, which the store checks. The console needs no multipart
upload, because S3 keeps no SHA-256 of a whole object that was uploaded in parts.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import functools
import hashlib
import io
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import SplitResult

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store as Client

from backups.stores.base import (
    CHECKS,
    Guard,
    ObjectMissing,
    StoreEntry,
    StoreError,
    checked_key,
    unguarded,
)
from backups.stores.s3_options import S3Credentials, S3Options, options_of, read_credentials
from backups.stores.s3_requests import TransferBroken, send, stall_limited, status_of

if TYPE_CHECKING:
    from obstore.store import S3Config

Answer = TypeVar("Answer")

PAGE_SIZE = 1000
"""Largest number of keys that S3 lists, or deletes, in one request."""
READ_BYTES = 4 * 1024 * 1024
"""Size of the ranges that a stream reads."""
CREDENTIALS_LIFETIME = datetime.timedelta(minutes=5)
PING_SECONDS = 5.0
BAD_REQUEST = 400
_CHUNK_BYTES = 1024 * 1024
_RANGE_NOT_SATISFIABLE = 416


class S3Store:
    """Objects below a prefix of a bucket, which belongs to this store alone."""

    publishes_at_once = False

    def __init__(self, options: S3Options) -> None:
        self.options = options
        self._client_of: tuple[int, Client] | None = None

    @classmethod
    def from_url(cls, parts: SplitResult) -> S3Store:
        return cls(options_of(parts))

    @contextlib.contextmanager
    def stage(self) -> Iterator[_StagedUpload]:
        yield _StagedUpload(self)

    def open(self, key: str) -> BinaryIO:
        size = self.size(key)
        if size is None:
            raise ObjectMissing(f"Could not read {key}: the object does not exist.")
        return io.BufferedReader(_ObjectStream(self, key, size), READ_BYTES)

    def read(self, key: str, *, limit: int) -> bytes:
        return self.read_range(key, 0, limit)

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`, fewer at the end of the object."""
        checked_key(key)
        return self._send(
            "read", key, lambda: _fetch(self.client, key, start, end), size=end - start
        )

    def size(self, key: str) -> int | None:
        checked_key(key)
        try:
            meta = self._send("read the size of", key, lambda: obstore.head_async(self.client, key))
        except ObjectMissing:
            return None
        return int(meta["size"])

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoreEntry]:
        """Sort each page, because some compatible stores list directories before files."""
        if prefix:
            checked_key(prefix)
        for page in self._pages(prefix, after):
            yield from sorted(page, key=lambda entry: entry.key.encode())

    def delete(self, key: str) -> None:
        checked_key(key)
        self._delete([key])

    def delete_prefix(self, prefix: str) -> int:
        checked_key(prefix)
        deleted = 0
        for page in self._pages(prefix):
            self._delete([entry.key for entry in page])
            deleted += len(page)
        return deleted

    def sweep(self, older_than: datetime.timedelta) -> int:
        """Return 0: an unpublished object is in the memory of its process only."""
        return 0

    def free_bytes(self) -> int | None:
        return None

    def ping(self) -> None:
        """List a prefix without objects, because the answer names a missing bucket."""
        listing = _Listing(self.client, f"{CHECKS}/nothing")
        self._send("list", CHECKS, listing.next_page, within=PING_SECONDS)

    def checksum_problem(self, key: str) -> str:
        data = secrets.token_bytes(1024)
        digest = hashlib.sha256(data).digest()
        for is_right in (True, False):
            sent = digest if is_right else bytes([digest[0] ^ 1]) + digest[1:]
            client = _client(self.options, checksum=base64.b64encode(sent).decode())
            request = functools.partial(_create, client, f"{key}-{is_right}", data, "")
            try:
                self._send("write", key, request, within=PING_SECONDS)
            except StoreError as error:
                if is_right or status_of(error.__cause__ or error) != BAD_REQUEST:
                    raise
                return ""
        return (
            "The store accepted an object whose x-amz-checksum-sha256 is wrong. Bytes that change "
            "on the way would be found by a verification only."
        )

    @property
    def client(self) -> Client:
        """The client of this process. A client does not survive a fork."""
        if self._client_of is None or self._client_of[0] != os.getpid():
            self._client_of = os.getpid(), _client(self.options)
        return self._client_of[1]

    def put(self, key: str, data: bytes, guard: Guard) -> None:
        request = functools.partial(_create, self.client, key, data, self.options.storage_class)
        self._send("write", key, request, guard=guard, size=len(data))

    def _delete(self, keys: Sequence[str]) -> None:
        target = keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more objects"
        self._send("delete", target, lambda: obstore.delete_async(self.client, keys))

    def _pages(self, prefix: str, after: str = "") -> Iterator[Sequence[StoreEntry]]:
        listing = _Listing(self.client, prefix, after)
        while page := self._send("list", prefix, listing.next_page):
            yield page

    def _send(
        self,
        action: str,
        target: str,
        request: Callable[[], Awaitable[Answer]],
        *,
        guard: Guard = unguarded,
        size: int = 0,
        within: float | None = None,
    ) -> Answer:
        described = f"Could not {action} {target or 'the objects'} in {self.options.url}"
        return send(request, action=described, guard=guard, size=size, within=within)


class _StagedUpload:
    """An object in memory. Its one request needs all bytes, because the hash precedes them."""

    def __init__(self, store: S3Store) -> None:
        self.store = store
        self.buffer = io.BytesIO()

    def write(self, data: bytes | memoryview) -> int:
        return self.buffer.write(data)

    def finish(self) -> None:
        """Do nothing, because the upload needs the key."""

    def publish(self, key: str, guard: Guard = unguarded, *, sha256: str = "") -> None:
        checked_key(key)
        data = self.buffer.getvalue()
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise StoreError(f"{key} has changed in memory before it was sent.")
        self.store.put(key, data, guard)
        self.buffer.close()


class _ObjectStream(io.RawIOBase):
    """A stream over an object, read in ranges."""

    def __init__(self, store: S3Store, key: str, size: int) -> None:
        self.store, self.key, self.size = store, key, size
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        end = min(self.position + len(buffer), self.size)
        if end <= self.position:
            return 0
        data = self.store.read_range(self.key, self.position, end)
        if len(data) != end - self.position:
            raise ObjectMissing(f"Could not read {self.key}: it has become shorter.")
        buffer[: len(data)] = data
        self.position = end
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}
        self.position = max(0, bases[whence] + offset)
        return self.position


async def _fetch(client: Client, key: str, start: int, end: int) -> bytes:
    if end <= start:
        return b""
    try:
        request = obstore.get_async(client, key, options={"range": (start, end)})
        result = await stall_limited(request)
    except BaseError as error:
        if status_of(error) == _RANGE_NOT_SATISFIABLE:
            return b""  # the object ends before `start`, as an empty one does
        raise
    expected, data = min(end, result.meta["size"]) - start, io.BytesIO()
    chunks = result.stream(min_chunk_size=_CHUNK_BYTES)
    with contextlib.suppress(StopAsyncIteration):
        while data.tell() <= expected:
            data.write(await stall_limited(anext(chunks)))
    if data.tell() != expected:
        raise TransferBroken(f"it has {data.tell()} instead of the announced {expected} bytes")
    return data.getvalue()


async def _create(client: Client, key: str, data: bytes, storage_class: str) -> None:
    """Create an object, or raise AlreadyExistsError only if the object is there.

    A conflict with a concurrent request (409) is reported as an existing object, too.
    """
    attributes = {"Storage-Class": storage_class} if storage_class else None
    try:
        await obstore.put_async(
            client, key, data, mode="create", use_multipart=False, attributes=attributes
        )
    except AlreadyExistsError:
        try:
            await stall_limited(obstore.head_async(client, key))
        except FileNotFoundError as missing:
            raise TransferBroken("the store reported a conflict with another request") from missing
        raise


class _Listing:
    """A listing that follows the store's continuation and is continued after an error."""

    def __init__(self, client: Client, prefix: str, after: str = "") -> None:
        self.client, self.prefix = client, prefix
        self.pages: AsyncIterator[Sequence[Any]] | None = None
        self.last_key = after
        self.is_ordered = True

    async def next_page(self) -> Sequence[StoreEntry]:
        """Return up to PAGE_SIZE entries, none at the end."""
        pages = self.pages if self.pages is not None else self._open()
        self.pages = None  # an error ends the stream
        try:
            metas = await stall_limited(anext(pages))
        except StopAsyncIteration:
            return []
        self.pages = pages
        entries = [StoreEntry(key=meta["path"], size=meta["size"]) for meta in metas]
        keys = [self.last_key, *(entry.key for entry in entries)]
        self.is_ordered &= keys == sorted(keys, key=str.encode)
        self.last_key = keys[-1]
        return entries

    def _open(self) -> AsyncIterator[Sequence[Any]]:
        if not self.is_ordered:
            raise StoreError(
                "A listing was interrupted. It cannot be continued, because the store does not "
                "list in the order of keys. Try again."
            )
        after = self.last_key or None
        prefix = self.prefix or None
        return obstore.list(self.client, prefix, offset=after, chunk_size=PAGE_SIZE)


def _client(options: S3Options, *, checksum: str = "") -> Client:
    """Build the client. Every option is given, so that no `AWS_*` variable changes the address.

    A given checksum is sent and signed instead of the right one, to prove that it is compared.
    """
    config: S3Config = {
        "endpoint": options.endpoint,
        "aws_endpoint_url_s3": options.endpoint,
        "region": options.region,
        "virtual_hosted_style_request": not options.path_style,
        "conditional_put": "etag",
        "unsigned_payload": False,
        "skip_signature": False,
        "s3_express": False,
        "disable_bulk_delete": False,
    }
    if not checksum:
        config["checksum_algorithm"] = "SHA256"
    if options.server_side_encryption:
        config["server_side_encryption"] = options.server_side_encryption
    if options.kms_key_id:
        config["sse_kms_key_id"] = options.kms_key_id
    return Client(
        options.bucket,
        prefix=options.prefix or None,
        config=config,
        client_options={
            "allow_http": options.allow_http,
            "connect_timeout": "5s",
            "timeout": "1h",  # `send` has shorter limits, by the size of the transfer
            "default_headers": {"x-amz-checksum-sha256": checksum} if checksum else {},
        },
        retry_config={"max_retries": 0},  # `send` repeats requests and asks the guard before
        credential_provider=_provider() if options.credentials else None,
    )


def _provider() -> Callable[[], Any]:
    """Return a reader of the credentials, because a file may get a new session token."""

    def credential() -> dict[str, Any]:
        now = datetime.datetime.now(datetime.UTC)
        return _credential(read_credentials(), now + CREDENTIALS_LIFETIME)

    return credential


def _credential(credentials: S3Credentials | None, expires_at: datetime.datetime) -> dict[str, Any]:
    if credentials is None:
        raise ValueError("The S3 credentials are no longer set.")
    return {
        "access_key_id": credentials.access_key_id,
        "secret_access_key": credentials.secret_access_key,
        "token": credentials.session_token or None,
        "expires_at": expires_at,
    }
