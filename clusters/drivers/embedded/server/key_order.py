"""Key order of query iterators on engines before 3.2.1, which return rows in the order of storage.

An iterator asks for the keys after the last one, so that it would miss rows otherwise.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_here = threading.local()


@contextmanager
def in_key_order() -> Iterator[None]:
    """Queries of this thread return rows in the order of their keys."""
    _here.is_ordered = True
    try:
        yield
    finally:
        _here.is_ordered = False


def furnish(collection: Any) -> None:
    query = collection.query
    if "order_by_pk" in inspect.signature(query).parameters:
        return  # the engine's servicer asks for the order

    def query_ordered(
        *arguments: Any, limit: int | None = None, offset: int = 0, **options: Any
    ) -> Any:
        if not getattr(_here, "is_ordered", False):
            return query(*arguments, limit=limit, offset=offset, **options)
        rows = sorted(query(*arguments, **options), key=lambda row: row[collection.pk_field])
        return rows[offset : None if limit is None else offset + limit]

    collection.query = query_ordered
