"""Load state of collections, stored on disk.

The engine loses the load state at every restart and rename. A mark file in the collection's
directory is renamed and deleted with the collection. The mark means *released*; a collection
without a mark is loaded.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from milvus_lite.index.scalar import IMPLEMENTED_SCALAR_INDEX_TYPES

from clusters.drivers.embedded.server.indexing import BuildCancelled

logger = logging.getLogger(__name__)

_MARK = "vbase_released"


def remember(collection: Any) -> None:
    """Store the load state. Call it after every operation that may have changed the state."""
    if collection.load_state == "released":
        mark_released(Path(collection.data_dir))
    else:
        _mark(collection).unlink(missing_ok=True)


def mark_released(directory: Path) -> None:
    (directory / _MARK).touch()


def restore(collection: Any) -> None:
    """Restore the load state of the last process, in moments.

    Existing index files are read. Missing ones are built in the background, as after a flush. Until
    then their rows are searched without an index, as before the restart.
    """
    if not _mark(collection).exists():
        with collection._maintenance_lock:
            for segment, spec in _built(collection):
                _attach(collection, segment, spec)
            collection._load_state = "loaded"
        collection._schedule_bg_maintenance()


def rebuild_broken_indexes(collection: Any) -> None:
    """Let a load by a client rebuild index files that cannot be read."""
    load = collection.load

    def load_or_rebuild() -> None:
        try:
            load()
        except BuildCancelled:
            raise
        except Exception:  # each kind of index has errors of its own
            logger.warning("%s: indexes not readable, rebuilding", collection.name, exc_info=True)
            for segment, spec in _built(collection):
                _index_file(collection, segment, spec).unlink()
            load()

    collection.load = load_or_rebuild


def _attach(collection: Any, segment: Any, spec: Any) -> None:
    """Read an index, or remove its file, because a kill can leave an incomplete index file."""
    try:
        collection._build_or_load_segment_index(segment, spec)
    except Exception:  # each kind of index has errors of its own
        logger.warning("%s: index not readable, rebuilding", collection.name, exc_info=True)
        _index_file(collection, segment, spec).unlink()


def _built(collection: Any) -> list[tuple[Any, Any]]:
    return [
        (segment, spec)
        for spec in collection._index_specs.values()
        for segment in collection._segments_snapshot()
        if _index_file(collection, segment, spec).exists()
    ]


def _index_file(collection: Any, segment: Any, spec: Any) -> Path:
    is_scalar = spec.index_type in IMPLEMENTED_SCALAR_INDEX_TYPES
    directory = collection._index_dir(segment.partition)
    return Path(
        segment.index_file_path(directory, spec.index_type, spec.field_name, scalar=is_scalar)
    )


def _mark(collection: Any) -> Path:
    return Path(collection.data_dir) / _MARK
