"""Decide from bytes and times when a request has arrived. Uses no socket and no thread.

This module decides only whether a request is complete. gunicorn parses the bytes and finds the
boundary to the next request.
"""

from __future__ import annotations

import re

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 1024 * 1024
"""The largest body that the console accepts (DATA_UPLOAD_MAX_MEMORY_SIZE)."""
CHUNK_OVERHEAD_BYTES = 128 * 1024
"""Size lines of a chunked body that are tolerated above MAX_BODY_BYTES."""
GRACE_SECONDS = 20.0
MIN_BYTES_PER_SECOND = 500
"""A request must arrive within the grace period, which every 500 bytes extend by a second."""

HEAD_END = b"\r\n\r\n"
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(\d{1,18})[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding[ \t]*:[^\r]*chunked", re.IGNORECASE)
_CONTINUE = re.compile(rb"\r\nexpect[ \t]*:[ \t]*100-continue", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9a-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n", re.IGNORECASE)


class Reception:
    """One request that is being received.

    `is_ready`: the request can be answered, because it is complete or will be refused anyway.
    `is_cut`: the request is ready without its whole body, so the connection cannot be reused.
    `wants_continue`: the client waits for "100 Continue" before it sends the body.
    """

    def __init__(self, now: float) -> None:
        self.data = bytearray()
        self.is_ready = self.is_cut = self.wants_continue = False
        self._began_at = now
        self._body_at: int | None = None
        self._length = 0
        self._chunk_at: int | None = None

    @property
    def deadline(self) -> float:
        return self._began_at + GRACE_SECONDS + len(self.data) / MIN_BYTES_PER_SECOND

    def feed(self, data: bytes) -> None:
        seen = max(0, len(self.data) - len(HEAD_END) + 1)
        self.data += data
        if self._body_at is None:
            self._read_head(seen)
        if self._body_at is not None and not self.is_ready:
            self._measure_body()

    def _read_head(self, seen: int) -> None:
        end = self.data.find(HEAD_END, seen)
        if end < 0:
            if len(self.data) > MAX_HEAD_BYTES or _BARE_LINE_FEED.search(self.data, seen):
                self.is_ready = self.is_cut = True  # the parser refuses it
            return
        self._body_at = end + len(HEAD_END)
        head = bytes(self.data[: self._body_at])
        if _CHUNKED.search(head):
            self._chunk_at = self._body_at
        elif length := _LENGTH.search(head):
            self._length = int(length[1])
        self.wants_continue = _CONTINUE.search(head) is not None

    def _measure_body(self) -> None:
        assert self._body_at is not None  # noqa: S101 - the head has been read
        received = len(self.data) - self._body_at
        if self._chunk_at is not None:
            self.is_ready = self._has_last_chunk()
            self.is_cut = not self.is_ready and received > MAX_BODY_BYTES + CHUNK_OVERHEAD_BYTES
        else:
            self.is_ready = received >= self._length
            self.is_cut = not self.is_ready and self._length > MAX_BODY_BYTES
        self.is_ready = self.is_ready or self.is_cut

    def _has_last_chunk(self) -> bool:
        """Advance from chunk to chunk, reading each byte once."""
        while self._chunk_at is not None and self._chunk_at < len(self.data):
            size = _CHUNK_SIZE.match(self.data, self._chunk_at)
            if size is None:
                line = self.data.find(b"\r\n", self._chunk_at)
                return line >= 0  # not a chunk: the parser refuses it
            if int(size[1], 16) == 0:
                ends_here = self.data.startswith(b"\r\n", size.end())
                return ends_here or self.data.find(HEAD_END, size.end()) >= 0
            after = size.end() + int(size[1], 16) + len(b"\r\n")
            if after > len(self.data):
                return False
            self._chunk_at = after
        return False
