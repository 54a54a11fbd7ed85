"""Names in an archive, checked against the rules of a server, because archives are untrusted."""

from __future__ import annotations

from collections.abc import Iterator

from backups.archive.description import CollectionDescription
from backups.milvus.server import ServerInfo
from clusters.milvus_names import (
    RESERVED_PREFIX,
    Kind,
    is_reserved,
    refusal_of_any_server,
    refusal_of_new,
    shown,
)

INDEX_TYPE = "index_type"


def refusals_of_names(server: ServerInfo, collection: CollectionDescription) -> tuple[str, ...]:
    names = dict.fromkeys(names_of(collection))
    reasons = (refusal_of_name(server, kind, name) for kind, name in names)
    prefix = f"Collection {shown(collection.name)} cannot be restored to Milvus {server.version}"
    return tuple(f"{prefix}: {reason}" for reason in reasons if reason)


def refusal_of_name(server: ServerInfo, kind: Kind, name: str) -> str:
    """Return the reason why the name is not allowed. A full Milvus checks most names itself."""
    if kind in (Kind.COLLECTION, Kind.ALIAS) and is_reserved(name):
        return f"{shown(name)}: names that begin with {RESERVED_PREFIX} are reserved."
    return (refusal_of_new if server.is_embedded else refusal_of_any_server)(kind, name)


def names_of(collection: CollectionDescription) -> Iterator[tuple[Kind, str]]:
    yield Kind.COLLECTION, collection.name
    yield from ((Kind.ALIAS, name) for name in collection.aliases)
    yield from ((Kind.PARTITION, name) for name in collection.partitions)
    yield from ((Kind.PARTITION, name) for name in collection.load.partitions)
    yield from ((Kind.FIELD, name) for name in collection.load.fields)
    yield from ((Kind.FIELD, field.name) for field in collection.fields)
    for function in collection.functions:
        yield Kind.FUNCTION, function.name
        for name in (*function.input_field_names, *function.output_field_names):
            yield Kind.FIELD, name
    for index in collection.indexes:
        yield Kind.FIELD, index.field_name
        if index.index_name:
            yield Kind.INDEX, index.index_name
        if index_type := index.params.get(INDEX_TYPE):
            yield Kind.INDEX_TYPE, index_type
