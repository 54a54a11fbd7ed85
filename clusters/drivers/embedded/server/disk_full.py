"""Acknowledged rows outlive a write that the disk refused.

The engine empties its memory before the flush that may fail, and later removes the log that held
those rows; and it writes on behind a record that is in the log only half. Here a flush that failed
before its commit gives the memory back, and after a refused write the next one flushes first, into
a fresh log.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

logger = logging.getLogger(__name__)


def furnish(collection: Any) -> None:
    """Before the readers' room, so that nobody reads while the memory is away."""
    collection.vbase_log_is_torn = False
    _keep_what_no_flush_took(collection)
    _write_behind_whole_records(collection)


def _keep_what_no_flush_took(collection: Any) -> None:
    flush = collection._trigger_flush

    def flush_or_keep() -> None:
        memory, log = collection._memtable, collection._wal
        known = collection._manifest.active_wal_number
        try:
            flush()
        except Exception:
            if collection._manifest.active_wal_number == known:
                collection._memtable, collection._wal = memory, log
                raise
            _show_files(collection)
            if not log._closed:
                _let_go(log)
                raise
            # All is committed, and only the old log could not be closed as it should.
            logger.warning("the log of %s ended torn", collection.name, exc_info=True)
            collection._schedule_bg_maintenance()

    collection._trigger_flush = flush_or_keep


def _show_files(collection: Any) -> None:
    """The rows are in files that the catalogue names; the next write of it lists them for good."""
    with collection._maintenance_lock:
        collection._refresh_segment_cache()


def _let_go(log: Any) -> None:
    """Its files stay until a catalogue that lists the rows is on disk."""
    for sink in (log._data_sink, log._delta_sink):
        if sink is not None:
            with contextlib.suppress(OSError):
                sink.close()


def _write_behind_whole_records(collection: Any) -> None:
    apply = collection._apply

    def apply_whole(operation: Any) -> None:
        if collection.vbase_log_is_torn:
            collection._trigger_flush()
            collection.vbase_log_is_torn = False
        try:
            apply(operation)
        except Exception:
            collection.vbase_log_is_torn = True
            raise

    collection._apply = apply_whole
