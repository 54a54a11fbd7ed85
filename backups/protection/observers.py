"""Hooks of the inventory: the search implements them and registers in its `AppConfig.ready`."""

from __future__ import annotations

from backups.protection.models import KnownCollectionQuerySet
from vbase_console.core.hooks import Event


@Event
def collections_added(known: KnownCollectionQuerySet) -> None:
    """Some of these collections are new in the inventory. Called in that transaction."""
