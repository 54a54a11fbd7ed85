"""Log of a cluster's process, bounded in the size of a record and of the file.

Tenants cause log records: a failed call logs a traceback, which can contain the whole request. The
confined process cannot open or rename its log, so the handler shortens the file in place.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import sys
from typing import TextIO

from clusters.milvus_names import printable

MAX_FILE_BYTES = 10 * 1024 * 1024
KEPT_BYTES = 1024 * 1024
MAX_RECORD_CHARACTERS = 8_000

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class BoundedFormatter(logging.Formatter):
    """Escape line breaks in messages, because names in them belong to tenants. Omit the middle of
    long records: the beginning and the end of a traceback are kept.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        omitted = len(text) - MAX_RECORD_CHARACTERS
        if omitted <= 0:
            return text
        half = MAX_RECORD_CHARACTERS // 2
        return f"{text[:half]}\n[{omitted} characters omitted]\n{text[-half:]}"


class BoundedLogHandler(logging.StreamHandler[TextIO]):
    """Write to standard error. If that is a file above `max_bytes`, keep only its end."""

    def __init__(self, max_bytes: int = MAX_FILE_BYTES) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(BoundedFormatter(_FORMAT))
        self._max_bytes = max_bytes

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        try:
            self._shorten(self.stream.fileno())
        except OSError:
            self.handleError(record)

    def _shorten(self, log: int) -> None:
        status = os.fstat(log)
        is_appended = fcntl.fcntl(log, fcntl.F_GETFL) & os.O_APPEND
        if status.st_size <= self._max_bytes or not stat.S_ISREG(status.st_mode) or not is_appended:
            return
        end = os.pread(log, KEPT_BYTES, status.st_size - KEPT_BYTES).partition(b"\n")[2]
        os.ftruncate(log, 0)
        os.write(log, b"[earlier records were removed]\n" + end)
