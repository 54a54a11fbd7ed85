"""Where an archive's files lie in its store, and in which order they go."""

from __future__ import annotations

from backups.stores.base import Store

MANIFEST_NAME = "manifest.json"


def inside(archive: str, name: str) -> str:
    """The key of an archive's file; `""` is an archive that is the whole store."""
    return f"{archive}/{name}" if archive else name


def delete_archive(store: Store, archive: str) -> None:
    """The manifest first: what is half deleted is no backup any more."""
    store.delete(inside(archive, MANIFEST_NAME))
    store.delete_prefix(archive)
