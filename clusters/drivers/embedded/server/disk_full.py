"""Preserve acknowledged rows when a write fails, for example on a full disk.

The engine clears its memtable before the flush, which may fail, and later removes the log with
these rows. The engine also appends to a log that ends with an incomplete record. Here a flush that
fails before its commit restores the memtable, and after a failed write the next write first flushes
into a new log.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

logger = logging.getLogger(__name__)


def furnish(collection: Any) -> None:
    """Call it before the read gate, so that no reader sees the cleared memtable."""
    collection.vbase_log_is_torn = False
    _restore_memtable_after_failed_flush(collection)
    _flush_after_failed_write(collection)


def _restore_memtable_after_failed_flush(collection: Any) -> None:
    flush = collection._trigger_flush

    def flush_or_restore() -> None:
        memory, log = collection._memtable, collection._wal
        known = collection._manifest.active_wal_number
        try:
            flush()
        except Exception:
            if collection._manifest.active_wal_number == known:
                collection._memtable, collection._wal = memory, log
                raise
            _refresh_segments(collection)
            if not log._closed:
                _close_log(log)
                raise
            # The flush is committed; only closing the old log failed.
            logger.warning("%s: old log not closed", collection.name, exc_info=True)
            collection._schedule_bg_maintenance()

    collection._trigger_flush = flush_or_restore


def _refresh_segments(collection: Any) -> None:
    """Read the files of the committed manifest into the segment cache."""
    with collection._maintenance_lock:
        collection._refresh_segment_cache()


def _close_log(log: Any) -> None:
    """Close the log. Its files stay until a manifest that lists the rows is on disk."""
    for sink in (log._data_sink, log._delta_sink):
        if sink is not None:
            with contextlib.suppress(OSError):
                sink.close()


def _flush_after_failed_write(collection: Any) -> None:
    apply = collection._apply

    def apply_after_flush(operation: Any) -> None:
        if collection.vbase_log_is_torn:
            collection._trigger_flush()
            collection.vbase_log_is_torn = False
        try:
            apply(operation)
        except Exception:
            collection.vbase_log_is_torn = True
            raise

    collection._apply = apply_after_flush
