"""Backup stores, chosen by URL. This package does not import Django."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

if TYPE_CHECKING:
    from backups.stores.base import Store

LOCAL_HOSTS = ("", "localhost")


def load_store(url: str) -> Store:
    """Return the store of a path or URL, importing only the module of that store.

    Nothing is read or written yet. Raises ValueError if the URL names no store. The message repeats
    the scheme only, because a URL may contain credentials.
    """
    parts = urlsplit(url)
    if not parts.scheme:
        return _local(url)
    if parts.scheme not in _STORES:
        raise ValueError(
            f"No backup store has the scheme {parts.scheme!r}. "
            f"Use a path or one of {', '.join(f'{scheme}://' for scheme in _STORES)}."
        )
    return _STORES[parts.scheme](parts)


def load_archive_store(location: str) -> Store:
    """Return the store whose root is an archive. Also lists temporary files, because an archive in
    a directory must not have any.
    """
    from backups.stores.local import LocalStore

    store = load_store(location) if "://" in location else LocalStore(location)
    if isinstance(store, LocalStore):
        store.lists_temporary = True
    return store


def _file(parts: SplitResult) -> Store:
    has_path = parts.path.startswith("/") and "\0" not in unquote(parts.path)
    if parts.netloc not in LOCAL_HOSTS or not has_path or parts.query or parts.fragment:
        raise ValueError(
            "A file:// URL must be file:///absolute/path, without a host, a query or a fragment. "
            "Write ? and # in a name as %3F and %23."
        )
    return _local(unquote(parts.path))


def _local(path: str) -> Store:
    from backups.stores.local import LocalStore

    return LocalStore(path)


def _memory(parts: SplitResult) -> Store:
    if any(parts[1:]):
        raise ValueError("A memory:// URL has no host and no path.")
    from backups.stores.memory import MemoryStore

    return MemoryStore()


def _s3(parts: SplitResult) -> Store:
    from backups.stores.s3 import S3Store

    return S3Store.from_url(parts)


_STORES: dict[str, Callable[[SplitResult], Store]] = {"file": _file, "s3": _s3, "memory": _memory}
