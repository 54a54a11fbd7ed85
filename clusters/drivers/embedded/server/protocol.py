"""Milvus' protocol as pymilvus brings it, without the SDK round it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGE = "pymilvus"
PANDAS = "pandas"


def leave_out_the_sdk() -> None:
    """From here on this process can import `pymilvus.grpc_gen`, nothing else of pymilvus, and no
    pandas, which pymilvus imports at once and pyarrow with its first array where it finds it.

    Both are for those who ask; neither the engine nor the launcher, which only answer, need more
    than the generated messages. Raises ImportError where it is too late or pymilvus is missing.
    """
    for name in (PACKAGE, PANDAS):
        if name in sys.modules:
            raise ImportError(f"{name} is imported already.")
    sys.modules[PACKAGE] = _without_its_code(importlib.util.find_spec(PACKAGE))
    sys.meta_path.insert(0, _NoPandas())


def _without_its_code(found: ModuleSpec | None) -> ModuleType:
    if found is None:
        raise ImportError(f"{PACKAGE} is not installed.")
    return importlib.util.module_from_spec(found)


class _NoPandas(MetaPathFinder):
    """Answers as if it were not installed; pyarrow then does without."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if name == PANDAS:
            raise ModuleNotFoundError(f"{PANDAS} is left out here.", name=PANDAS)
