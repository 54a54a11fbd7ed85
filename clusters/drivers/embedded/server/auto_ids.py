"""Keep generated ids above all client-supplied keys, so that an insert never overwrites a row.

The engine counts its generated ids without reading the keys that clients supply.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

LARGEST_ID = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class FreeIds:
    """Range of unused ids, both ends included."""

    first: int
    last: int = LARGEST_ID

    def has(self, count: int) -> bool:
        return self.first + count - 1 <= self.last

    def without(self, keys: Iterable[int]) -> FreeIds:
        """Return the range without these keys: the ids above the largest key if the range is open,
        otherwise the largest range between them.
        """
        inside = [key for key in keys if self.first <= key <= self.last]
        if self.last == LARGEST_ID:
            return FreeIds(max(inside, default=self.first - 1) + 1)
        return _largest_between(self.first - 1, inside, self.last + 1)


def largest_free_ids(keys: Iterable[int]) -> FreeIds:
    """Return the largest range of positive ids without a key."""
    return _largest_between(0, keys, LARGEST_ID + 1)


def _largest_between(low: int, keys: Iterable[int], high: int) -> FreeIds:
    """Exclude both bounds. uint64 because 2^63 is one above the largest id."""
    between = np.fromiter((key for key in keys if low < key < high), dtype=np.uint64)
    bounds = np.concatenate(([np.uint64(low)], np.unique(between), [np.uint64(high)]))
    widest = int(np.argmax(np.diff(bounds)))
    return FreeIds(int(bounds[widest]) + 1, int(bounds[widest + 1]) - 1)


def furnish(collection: Any) -> None:
    """Start generated ids above every key of the opened collection."""
    if collection._auto_id:
        ids = FreeIds(collection._next_auto_id).without(_keys(collection))
        _continue_with(collection, ids)


def reserve_ids(collection: Any, fields: Iterable[Any], count: int) -> None:
    """Make the next `count` generated ids unused, before an insert or upsert of these fields."""
    if not collection._auto_id:
        return
    supplied = [
        key
        for field in fields
        if field.field_name == collection.pk_field
        for key in field.scalars.long_data.data
    ]
    ids = FreeIds(collection._next_auto_id, collection.vbase_last_auto_id).without(supplied)
    if not supplied and not ids.has(count):
        ids = largest_free_ids(_keys(collection))
    _continue_with(collection, ids)


def _continue_with(collection: Any, ids: FreeIds) -> None:
    collection._next_auto_id, collection.vbase_last_auto_id = ids.first, ids.last


def _keys(collection: Any) -> Iterable[int]:
    for segment in collection._segments_snapshot():
        yield from segment.pks
    for key, _position in collection._memtable.pk_index_snapshot():
        yield key
