"""Milvus' protocol from pymilvus, without the SDK."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

PACKAGE = "pymilvus"
PANDAS = "pandas"


def exclude_sdk() -> None:
    """Prevent imports of pandas and of pymilvus, except `pymilvus.grpc_gen`.

    The server needs only the generated messages. pymilvus imports pandas at once, and pyarrow
    imports pandas with its first array. Raises ImportError if one of them has been imported, or if
    pymilvus is not installed.
    """
    for name in (PACKAGE, PANDAS):
        if name in sys.modules:
            raise ImportError(f"{name} has already been imported.")
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise ImportError(f"{PACKAGE} is not installed.")
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)  # not executed
    sys.meta_path.insert(0, _NoPandas())


class _NoPandas(MetaPathFinder):
    """Finder that reports pandas as not installed; pyarrow then works without it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if name == PANDAS:
            raise ModuleNotFoundError(f"{PANDAS} is excluded in this process.", name=PANDAS)
