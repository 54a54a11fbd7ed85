"""Parts that no manifest lists, because their attempt ended before it recorded them."""

from __future__ import annotations

import re

from backups.archive.manifest import Manifest
from backups.stores.base import EntryKind, Store

_PART = re.compile(r"parts/[0-9a-f]{64}\.parquet", re.ASCII)


def delete_unlisted_parts(store: Store, archive: str, manifest: Manifest) -> int:
    """Delete the parts that `manifest` does not list. Returns their number.

    Safe only when the manifest is in the store, because no attempt can list a part after that.
    """
    listed = {part.name for part in manifest.parts}
    unlisted = [
        entry.key
        for entry in store.list(archive)
        if (name := entry.key.removeprefix(f"{archive}/")) not in listed
        and entry.kind is EntryKind.OBJECT
        and _PART.fullmatch(name)
    ]
    for key in unlisted:
        store.delete(key)
    return len(unlisted)
