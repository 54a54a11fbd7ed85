"""Generated keys never meet given ones.

The engine counts its generated keys without looking at the keys that clients gave, and would
overwrite rows that were restored with their old keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def stand_above_largest_key(collection: Any) -> None:
    """After opening: above every key in the segments and in what was replayed from the log."""
    if collection._auto_id:
        segments = collection._segments_snapshot()
        stored = (max(segment.pks) for segment in segments if segment.num_rows)
        recent = (key for key, _position in collection._memtable.pk_index_snapshot())
        _stand_above(collection, (*stored, *recent))


def stand_above_given_keys(collection: Any, fields: Iterable[Any]) -> None:
    """Before an insert or upsert: above every key that the client gives."""
    if collection._auto_id:
        for field in fields:
            if field.field_name == collection.pk_field:
                _stand_above(collection, field.scalars.long_data.data)


def _stand_above(collection: Any, keys: Iterable[int]) -> None:
    largest = max(keys, default=0)
    collection._next_auto_id = max(collection._next_auto_id, int(largest) + 1)
