from __future__ import annotations

from tests.api.fixtures import api, key_with, stranger
from tests.web.conftest import alices, bobs, browser_of

__all__ = ["alices", "api", "bobs", "browser_of", "key_with", "stranger"]
