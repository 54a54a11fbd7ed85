"""Limits of the answers of a server. An attached server may answer anything, and its answers reach
pages, rows and archives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sized

from backups.milvus.errors import MilvusError, UnsupportedFeature
from clusters.drivers.server_check import VERSION
from clusters.milvus_names import Kind, refusal_of_any_server

MAX_LISTED_NAMES = 100_000
"""Milvus stores at most 65,536 collections."""
MAX_COUNT = 2**63 - 1
MAX_GRANT_LISTINGS = 100_000
"""Calls that list grants: one per role and database."""
MAX_PARTS = {"fields": 1024, "functions": 1024, "indexes": 4096, "aliases": 4096}
"""Parts of one collection. Milvus itself allows 64 fields."""


def checked_names(kind: Kind, names: Collection[str]) -> list[str]:
    """Return the names of a listing. Raises MilvusError for one that no Milvus can store, because
    it could be stored by no database and sent in no call.
    """
    if len(names) > MAX_LISTED_NAMES:
        raise MilvusError(
            f"The server lists {len(names)} {kind}s. The console reads at most {MAX_LISTED_NAMES}.",
            permanent=True,
        )
    require_possible_names(kind, names)
    return list(names)


def require_possible_names(kind: Kind, names: Iterable[str]) -> None:
    for name in names:
        if refusal_of_any_server(kind, name):
            raise MilvusError(
                f"The server names a {kind} as no Milvus can: {refusal_of_any_server(kind, name)}",
                permanent=True,
            )


def checked_version(text: str) -> str:
    """Return a version that rows and archives can store. The text of another one is not repeated,
    because a server could put the token into it.
    """
    if not VERSION.fullmatch(text):
        raise MilvusError("The server answered no valid version.", permanent=True)
    return text


def checked_count(text: str | int) -> int:
    """Return a number of rows that every database can store."""
    try:
        count = int(text)
    except ValueError:
        count = -1
    if not 0 <= count <= MAX_COUNT:
        raise MilvusError("The server answered no valid number of rows.", permanent=True)
    return count


def require_few_parts(**parts: Sized) -> None:
    """Check the number of parts before anything is computed from them."""
    for kind, listed in parts.items():
        if len(listed) > MAX_PARTS[kind]:
            raise UnsupportedFeature(
                f"The collection has {len(listed)} {kind}, more than {MAX_PARTS[kind]}, which "
                "backups do not support. Leave the collection out."
            )


def require_few_listings(roles: int, databases: int) -> None:
    if roles * databases > MAX_GRANT_LISTINGS:
        raise MilvusError(
            f"The server has {roles} roles and {databases} databases. The console lists the grants "
            f"of at most {MAX_GRANT_LISTINGS} pairs. Back up without access control.",
            permanent=True,
        )
