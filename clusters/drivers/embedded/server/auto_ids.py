"""Generated ids never equal an existing key, so that an insert never overwrites a row.

The engine counts its generated ids without reading the keys that clients gave.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

LARGEST_ID = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class FreeIds:
    """Consecutive ids, both ends included, none of which is a key."""

    first: int
    last: int = LARGEST_ID

    def hold(self, count: int) -> bool:
        return self.first + count - 1 <= self.last

    def without(self, keys: Iterable[int]) -> FreeIds:
        """Remove keys: all below the largest one while ids grow without an end, else keep the
        largest range that is left.
        """
        inside = [key for key in keys if self.first <= key <= self.last]
        if self.last == LARGEST_ID:
            return FreeIds(max(inside, default=self.first - 1) + 1)
        return _largest_between(self.first - 1, inside, self.last + 1)


def largest_free_ids(keys: Iterable[int]) -> FreeIds:
    """Find the largest range of positive ids that holds no key."""
    return _largest_between(0, keys, LARGEST_ID + 1)


def _largest_between(low: int, keys: Iterable[int], high: int) -> FreeIds:
    """Both bounds are excluded. uint64 holds 2^63, one more than the largest id."""
    between = np.fromiter((key for key in keys if low < key < high), dtype=np.uint64)
    bounds = np.concatenate(([np.uint64(low)], np.unique(between), [np.uint64(high)]))
    widest = int(np.argmax(np.diff(bounds)))
    return FreeIds(int(bounds[widest]) + 1, int(bounds[widest + 1]) - 1)


def furnish(collection: Any) -> None:
    """Start above every key of the segments and of the replayed log, after opening."""
    if collection._auto_id:
        ids = FreeIds(collection._next_auto_id).without(_keys(collection))
        _continue_with(collection, ids)


def make_room(collection: Any, fields: Iterable[Any], count: int) -> None:
    """Have the next `count` generated ids free, before an insert or upsert with these fields."""
    if not collection._auto_id:
        return
    given = [
        key
        for field in fields
        if field.field_name == collection.pk_field
        for key in field.scalars.long_data.data
    ]
    ids = FreeIds(collection._next_auto_id, collection.vbase_last_auto_id).without(given)
    if not given and not ids.hold(count):
        ids = largest_free_ids(_keys(collection))
    _continue_with(collection, ids)


def _continue_with(collection: Any, ids: FreeIds) -> None:
    collection._next_auto_id, collection.vbase_last_auto_id = ids.first, ids.last


def _keys(collection: Any) -> Iterable[int]:
    for segment in collection._segments_snapshot():
        yield from segment.pks
    for key, _position in collection._memtable.pk_index_snapshot():
        yield key
