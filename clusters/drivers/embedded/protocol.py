"""Milvus' protocol as pymilvus brings it, without the SDK round it."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

PACKAGE = "pymilvus"


def leave_out_the_sdk() -> None:
    """From here on this process can import `pymilvus.grpc_gen` and nothing else of pymilvus.

    The package itself imports pandas and an HTTP client, which took half of the time in which a
    cluster starts and a third of its memory. Neither the engine nor the launcher, which only
    answer calls, need more of it than the generated messages.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.submodule_search_locations is None:
        raise ImportError(f"{PACKAGE} is not installed.")
    package = ModuleType(PACKAGE, "Only its protocol; see `leave_out_the_sdk`.")
    package.__path__ = list(found.submodule_search_locations)
    package.__spec__ = found
    sys.modules[PACKAGE] = package
