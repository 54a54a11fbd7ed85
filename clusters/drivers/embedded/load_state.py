"""Whether a collection is loaded, kept on disk.

The engine forgets it at every restart and rename. The mark is a file inside the collection's own
directory, so it moves with a rename and goes with a drop. It says *released*: what has no mark is
loaded.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_MARK = "vbase_released"


def remember(collection: Any) -> None:
    """Call it after whatever may have loaded or released the collection."""
    mark = _mark(collection)
    if collection.load_state == "released":
        mark.touch()
    else:
        mark.unlink(missing_ok=True)


def restore(collection: Any) -> None:
    """Make the collection what it was when its process ended."""
    if not _mark(collection).exists():
        collection.load()
    elif collection.load_state == "loaded":
        collection.release()


def rebuild_broken_indexes(collection: Any) -> None:
    """The engine writes index files in place: one that a kill cut short would fail every load."""
    load = collection.load

    def load_or_rebuild() -> None:
        try:
            load()
        except Exception:  # each kind of index has errors of its own
            logger.warning("the indexes of %s are built anew", collection.name, exc_info=True)
            _remove_index_files(collection)
            load()

    collection.load = load_or_rebuild


def _remove_index_files(collection: Any) -> None:
    for file in Path(collection.data_dir).glob("partitions/*/indexes/*"):
        file.unlink()


def _mark(collection: Any) -> Path:
    return Path(collection.data_dir) / _MARK
