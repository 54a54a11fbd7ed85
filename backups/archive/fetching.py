"""A store in a process without network or files: its parent fetches what the process asks for.

A request is a line of JSON. The answer is a line of JSON, followed by the bytes that it announces.
The process may be taken over by the archive that it reads, so the parent believes nothing in a
request: it reads only from its own store, and bounds every line and every answer.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from backups.stores.base import (
    EntryKind,
    ObjectMissing,
    ReadableStore,
    StoreEntry,
    StoreError,
    checked_key,
)

MAX_LINE_BYTES = 64 * 1024
LIST_BATCH_SIZE = 500
MAX_READ_BYTES = 256 * 1024 * 1024
WITHOUT_SECRETS = ("VBASE_", "AWS_", "DATABASE_URL")
"""Beginnings of variables that a reader process does not inherit."""


def start_reader(
    module: str, arguments: Sequence[str], **options: Any
) -> tuple[subprocess.Popen[bytes], BinaryIO, BinaryIO]:
    """Start a reader process without secrets. Returns the process, its requests, and the stream of
    their answers. Its last argument is the descriptors for `FetchedStore.of`.
    """
    asked, ask = os.pipe()
    answered, answer = os.pipe()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", module, *arguments, f"{ask},{answered}"],
        env=environment(),
        pass_fds=(ask, answered),
        **options,
    )
    os.close(ask)
    os.close(answered)
    return process, os.fdopen(asked, "rb"), os.fdopen(answer, "wb")


class ReaderBroken(Exception):
    """A reader process violates the protocol or ended early."""


def environment() -> dict[str, str]:
    """Return the variables of this process for a reader process, without secrets."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(WITHOUT_SECRETS)
    }


class FetchedStore:
    """The store as the reader process sees it."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests, self._answers = requests, answers

    @classmethod
    def of(cls, descriptors: str) -> FetchedStore:
        """Open the two descriptors that the parent has passed, such as `5,8`."""
        requests, answers = map(int, descriptors.split(","))
        return cls(os.fdopen(requests, "wb", buffering=0), os.fdopen(answers, "rb"))

    def read(self, key: str, *, limit: int) -> bytes:
        return self._ask(read=key, limit=limit)

    def list(self, prefix: str) -> Iterator[StoreEntry]:
        page = json.loads(self._ask(list=prefix))
        while page:
            for key, size, kind in page:
                yield StoreEntry(key=key, size=size, kind=EntryKind(kind))
            page = json.loads(self._ask(list=None))

    def report(self, **facts: object) -> None:
        self._ask(report=facts)

    def _ask(self, **request: object) -> bytes:
        self._requests.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(self._answers.readline())
        if "missing" in answer:
            raise ObjectMissing(answer["missing"])
        if "error" in answer:
            raise StoreError(answer["error"])
        return self._answers.read(answer["bytes"])


class Fetcher:
    """The parent's side: answers requests from `store` until the process ends."""

    def __init__(
        self,
        store: ReadableStore,
        *,
        on_read: Callable[[str, bytes], None] = lambda key, data: None,
        on_list: Callable[[StoreEntry], None] = lambda entry: None,
        on_report: Callable[[object], None] = lambda facts: None,
    ) -> None:
        self._store = store
        self._on_read, self._on_list, self._on_report = on_read, on_list, on_report
        self._listing: Iterator[StoreEntry] = iter(())

    def serve(self, requests: BinaryIO, answers: BinaryIO) -> None:
        """Raises ReaderBroken for a request that is none, and what the callbacks raise."""
        while line := requests.readline(MAX_LINE_BYTES):
            answer, data = self._answer(_request(line))
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.write(data)
            answers.flush()

    def _answer(self, request: dict[str, object]) -> tuple[dict[str, object], bytes]:
        match request:
            case {"read": str(key), "limit": int(limit)}:
                return self._fetched(lambda: self._read(key, limit))
            case {"list": prefix} if prefix is None or prefix == "":
                if prefix == "":
                    self._listing = self._store.list("")
                return self._fetched(self._page)
            case {"report": facts}:
                self._on_report(facts)
                return {"bytes": 0}, b""
            case _:
                raise ReaderBroken("The reader of the archive sent an unknown request.")

    def _fetched(self, fetch: Callable[[], bytes]) -> tuple[dict[str, object], bytes]:
        """Tell the process about an error of the store, so that it ends as it does without us."""
        try:
            data = fetch()
        except ObjectMissing as error:
            return {"missing": str(error)}, b""
        except StoreError as error:
            return {"error": str(error)}, b""
        return {"bytes": len(data)}, data

    def _read(self, key: str, limit: int) -> bytes:
        checked_key(key)
        data = self._store.read(key, limit=max(0, min(limit, MAX_READ_BYTES)))
        self._on_read(key, data)
        return data

    def _page(self) -> bytes:
        page = []
        for entry in itertools.islice(self._listing, LIST_BATCH_SIZE):
            self._on_list(entry)
            page.append((entry.key, entry.size, entry.kind.value))
        return json.dumps(page).encode()


def _request(line: bytes) -> dict[str, object]:
    try:
        request = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise ReaderBroken("The reader of the archive sent a line that is no request.")
    return request
