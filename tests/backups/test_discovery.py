from __future__ import annotations

import pytest

from backups import discovery
from backups.milvus.errors import MilvusError, MilvusNotFound, NotLoaded


class Uncountable:
    """A server on which nothing can be counted."""

    def __init__(self, error: MilvusError) -> None:
        self.error = error

    def count(self, name: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [NotLoaded, MilvusNotFound])
def test_what_cannot_be_counted_is_listed_all_the_same(error: type[MilvusError]) -> None:
    assert discovery._row_count(Uncountable(error("no", permanent=True)), "images") is None  # type: ignore[arg-type]
