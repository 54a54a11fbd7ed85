"""The API of policies: clusters are in memory, and no Milvus runs."""

from __future__ import annotations

from tests.backups.api.conftest import (
    api,
    backup,
    cluster,
    driver,
    key_with,
    of,
    open_door,
    stranger,
)

__all__ = ["api", "backup", "cluster", "driver", "key_with", "of", "open_door", "stranger"]
