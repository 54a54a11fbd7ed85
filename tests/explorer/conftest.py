"""A real embedded cluster for the whole module, and Alice's API and browser."""

from __future__ import annotations

from tests.api.fixtures import api, key_with, stranger, without_key
from tests.backups.conftest import cluster, driver, machine, milvus, store
from tests.web.conftest import alices, bobs, browser_of, charlies, olgas

__all__ = [
    "alices",
    "api",
    "bobs",
    "browser_of",
    "charlies",
    "cluster",
    "driver",
    "key_with",
    "machine",
    "milvus",
    "olgas",
    "store",
    "stranger",
    "without_key",
]
