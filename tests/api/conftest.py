from __future__ import annotations

from tests.api.fixtures import api, key_with, stranger, without_key

__all__ = ["api", "key_with", "stranger", "without_key"]
