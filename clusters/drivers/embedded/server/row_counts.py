"""Number of the tenant's rows in all collections, for metrics.

Counting reads the keys of all rows of a collection, so that only changed collections are counted,
and in one call only as many as `BUDGET_SECONDS` allow. The others keep their last count.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.locking import Key
from clusters.drivers.embedded.server.read_gate import gate_of
from clusters.milvus_names import RESERVED_PREFIX

BUDGET_SECONDS = 1.0


class RowCounts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counted: dict[Key, tuple[Any, int]] = {}
        """Collection → its version when it was counted, and its rows."""
        self._counting = threading.Lock()

    def total(self) -> int:
        with self._counting:
            opened = {
                key: collection
                for key, collection in self._engine.settled()
                if not key[1].startswith(RESERVED_PREFIX)
            }
            self._counted = {
                key: self._counted[key] for key in self._counted.keys() & opened.keys()
            }
            self._count_changed(opened)
            return sum(rows for _, rows in self._counted.values())

    def _count_changed(self, opened: dict[Key, Any]) -> None:
        """Count in the order of the names, after those that an earlier call has not reached."""
        deadline = time.monotonic() + BUDGET_SECONDS
        for key in sorted(opened, key=lambda key: (key in self._counted, key)):
            collection = opened[key]
            partitions = len(collection._manifest.list_partitions())
            version = (id(collection), collection._next_seq, partitions)
            if self._counted.get(key, (None, 0))[0] == version:
                continue
            if time.monotonic() > deadline:
                return
            with gate_of(collection).reading():
                self._counted[key] = version, int(collection.num_entities)
