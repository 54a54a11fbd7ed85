from __future__ import annotations

import dataclasses
import re

_EMBEDDED = "milvus_lite"
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerInfo:
    version: str
    """As reported by the server: `v2.3.5`, `milvus_lite-3.2.2`."""

    @property
    def is_embedded(self) -> bool:
        return self.version.startswith(_EMBEDDED)

    @property
    def number(self) -> tuple[int, ...]:
        match = _NUMBERS.search(self.version)
        return tuple(int(part) for part in match.groups()) if match else (0, 0, 0)
