"""Keys of an archive's files in its store, and the order of their deletion."""

from __future__ import annotations

from backups.stores.base import Store

MANIFEST_NAME = "manifest.json"


def inside(archive: str, name: str) -> str:
    """Return the key of a file. The archive `""` is the whole store."""
    return f"{archive}/{name}" if archive else name


def delete_archive(store: Store, archive: str) -> None:
    """Delete the manifest first, so that a partly deleted archive is no backup."""
    store.delete(inside(archive, MANIFEST_NAME))
    store.delete_prefix(archive)
