"""Whether a collection is loaded, kept on disk.

The engine forgets it at every restart and rename. The mark is a file inside the collection's own
directory, so it moves with a rename and goes with a drop. It says *released*: what has no mark is
loaded.
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
    """Call it after whatever may have loaded or released the collection."""
    if collection.load_state == "released":
        mark_released(Path(collection.data_dir))
    else:
        _mark(collection).unlink(missing_ok=True)


def mark_released(directory: Path) -> None:
    (directory / _MARK).touch()


def restore(collection: Any) -> None:
    """Make the collection what it was when its process ended, in moments.

    Indexes that were built are read. The others are built in the background, as after any flush;
    until then their rows are searched one by one, as they were before the end.
    """
    if not _mark(collection).exists():
        with collection._maintenance_lock:
            for segment, spec in _built(collection):
                _attach(collection, segment, spec)
            collection._load_state = "loaded"
        collection._schedule_bg_maintenance()


def rebuild_broken_indexes(collection: Any) -> None:
    """The same for a client's own load, which reads index files, too."""
    load = collection.load

    def load_or_rebuild() -> None:
        try:
            load()
        except BuildCancelled:
            raise
        except Exception:  # each kind of index has errors of its own
            logger.warning("the indexes of %s are built anew", collection.name, exc_info=True)
            for segment, spec in _built(collection):
                _index_file(collection, segment, spec).unlink()
            load()

    collection.load = load_or_rebuild


def _attach(collection: Any, segment: Any, spec: Any) -> None:
    """The engine writes index files in place, so a kill can leave half of one."""
    try:
        collection._build_or_load_segment_index(segment, spec)
    except Exception:  # each kind of index has errors of its own
        logger.warning("an index of %s is built anew", collection.name, exc_info=True)
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
