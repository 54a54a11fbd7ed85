"""Which Milvus it is."""

from __future__ import annotations

import dataclasses
import re

_EMBEDDED = "milvus_lite"
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerInfo:
    """Which Milvus answers; what it can and cannot do follows from that."""

    version: str
    """As it says itself: `v2.3.5`, `milvus_lite-3.2.2`."""

    @property
    def is_embedded(self) -> bool:
        return self.version.startswith(_EMBEDDED)

    @property
    def number(self) -> tuple[int, ...]:
        found = _NUMBERS.search(self.version)
        return tuple(int(part) for part in found.groups()) if found else (0, 0, 0)
