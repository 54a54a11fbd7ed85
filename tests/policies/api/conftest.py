"""The API of policies: clusters are in memory, and no Milvus runs."""

from __future__ import annotations

from tests.backups.api.conftest import (
    api,
    backup,
    cluster,
    driver,
    key_with,
    of,
    stranger,
    without_key,
)

__all__ = ["api", "backup", "cluster", "driver", "key_with", "of", "stranger", "without_key"]
