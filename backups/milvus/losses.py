"""Limits of a server for backups and restores, as texts of warnings and refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backups.archive.description import CollectionDescription, DataType
from backups.milvus.legal_names import refusals_of_names
from backups.milvus.offers import is_on_vector, is_vector, offers_field, type_of
from backups.milvus.offers import lacking as indexes_lacking
from backups.milvus.pinned_schema import CONSISTENCY_LEVEL, SHARDS
from backups.milvus.server import ServerInfo

_NULLS_SINCE = (2, 5, 0)
_FUNCTIONS_SINCE = (2, 5, 0)
_GIVEN_AUTO_IDS_SINCE = (2, 6, 3)
GIVEN_AUTO_IDS = "allow_insert_auto_id"
"""Property of a collection: a full Milvus keeps given keys instead of generating new ones."""

LIFETIME = "collection.ttl.seconds"
"""Property: lifetime of rows after their insert, in seconds. 0 means unlimited."""

MARK = "vbase_restore"
"""Property: task id of the restore that created a database. Internal, no content."""
_DATABASE_PROPERTIES_SINCE = (2, 4, 3)

_KEPT_PARAMS = frozenset(
    ["dim", "max_length", "max_capacity", "enable_analyzer", "enable_match", "analyzer_params"]
)
"""Parameters of fields that the embedded engine stores."""

_BUCKETS = (16, 17)
"""Numbers of partitions of a partition key on the embedded engine, without and with `_default`."""

_FORGOTTEN = (
    "This server does not store descriptions of collections, fields and functions, names of "
    "indexes, the number of a partition key's partitions, consistency levels, shards, clustering "
    "keys, the max_length of an ARRAY's elements, or other parameters of fields such as "
    "mmap.enabled. They are not in the backup, and a restore uses defaults."
)


_LOADED_FIELDS_UNKNOWN = (
    "This server does not report the loaded fields of a collection. A restore loads all fields."
)
_LOADS_FIELDS_SINCE = (2, 5, 0)


def forgotten(server: ServerInfo) -> tuple[str, ...]:
    """Describe content that the server does not store or report for any collection."""
    if server.is_embedded:
        return (_FORGOTTEN,)
    return (_LOADED_FIELDS_UNKNOWN,) if server.number >= _LOADS_FIELDS_SINCE else ()


def losses(server: ServerInfo, collection: CollectionDescription) -> tuple[str, ...]:
    """Describe values of this collection that the server does not return exactly."""
    if not server.is_embedded:
        return ()
    return tuple(
        f"{collection.name}: field {field.name!r} is nullable, but this server stores a missing "
        "vector as zeros. Missing vectors are restored as zeros."
        for field in collection.fields
        if field.data_type is DataType.FLOAT_VECTOR and field.nullable
    )


def refusals(server: ServerInfo, collection: CollectionDescription) -> tuple[str, ...]:
    """Return the reasons why this server cannot store the collection, or none if it can."""
    fields = [f for f in collection.columns if not f.is_dynamic]
    lacking = [
        f"field {field.name!r} has the type {field.data_type}"
        for field in fields
        if not offers_field(server, field.data_type)
    ]
    if not server.is_embedded and server.number < _NULLS_SINCE:
        lacking += [f"field {f.name!r} is nullable" for f in fields if f.nullable]
        lacking += [f"field {f.name!r} has a default" for f in fields if f.default is not None]
    if not server.is_embedded and server.number < _FUNCTIONS_SINCE:
        lacking += [f"it has the function {function.name!r}" for function in collection.functions]
    if not server.is_embedded:
        lacking += [
            f"field {index.field_name!r} has an index of type {type_of(index)}"
            for index in indexes_lacking(server, collection)
            if is_on_vector(collection, index)  # a vector without an index cannot be loaded
        ]
    vectors = [f.name for f in fields if is_vector(f.data_type)]
    if not server.is_embedded and server.number < (2, 4, 0) and len(vectors) > 1:
        lacking.append(f"it has several vector fields ({', '.join(vectors)})")
    return refusals_of_names(server, collection) + tuple(
        f"Collection {collection.name!r} cannot be restored to Milvus {server.version}: {reason}, "
        "which that server does not support."
        for reason in lacking
    )


def changes(server: ServerInfo, collection: CollectionDescription) -> tuple[str, ...]:
    """Describe content that this server stores in another form or not at all. Warnings only."""
    texts = [
        f"the index of {index.field_name!r} is not created, because this server does not support "
        f"{kind}. Searches read the rows instead."
        for index in indexes_lacking(server, collection)
        if (kind := type_of(index))
    ]
    texts += _new_keys(server, collection)
    if not server.is_embedded and has_lifetime(collection):
        lifetime = collection.properties[LIFETIME]
        texts.append(f"its rows expire {lifetime} s after the restore, not after the first insert.")
    if server.is_embedded:
        texts += _not_stored(collection)
    return tuple(f"{collection.name}: {text}" for text in texts)


def _new_keys(server: ServerInfo, collection: CollectionDescription) -> list[str]:
    if not collection.primary_key.auto_id or server.is_embedded:
        return []
    if not keeps_given_keys(server):
        key = collection.primary_key.name
        return [
            f"the server generates new keys for {key!r}, because Milvus {server.version} does not "
            "accept given keys with auto ids."
        ]
    if collection.properties.get(GIVEN_AUTO_IDS) == "true":
        return []
    return [f"it gets the property {GIVEN_AUTO_IDS}, so that its keys are kept."]


def _not_stored(collection: CollectionDescription) -> list[str]:
    """Describe content that the embedded engine drops, except its own defaults."""
    content = {
        "its description": collection.description,
        "descriptions of its fields": any(field.description for field in collection.fields),
        "names of its indexes": any(i.index_name != i.field_name for i in collection.indexes),
        "the number of its partition key's partitions": collection.num_partitions
        not in (None, *_BUCKETS),
        "its consistency level": collection.consistency_level not in (None, CONSISTENCY_LEVEL),
        "its shards": collection.shards not in (None, SHARDS),
        "the max_length of an ARRAY's elements": any(
            field.data_type is DataType.ARRAY and "max_length" in field.params
            for field in collection.fields
        ),
        "descriptions of its functions": any(
            function.description for function in collection.functions
        ),
        "its clustering key": any(field.is_clustering_key for field in collection.fields),
        **{
            f"the parameter {name} of field {field.name!r}": name not in _KEPT_PARAMS
            for field in collection.fields
            for name in field.params
        },
        "which of its partitions are loaded (all are)": collection.load.partitions,
        "which of its fields are loaded (all are)": collection.load.fields,
        "more than one replica": (collection.load.replicas or 1) > 1,
    }
    lost = [name for name, is_present in content.items() if is_present]
    return [f"this server does not store {', '.join(lost)}."] if lost else []


def has_lifetime(collection: CollectionDescription) -> bool:
    lifetime = collection.properties.get(LIFETIME, "")
    return lifetime.isdigit() and int(lifetime) > 0


def keeps_database_properties(server: ServerInfo) -> bool:
    return server.is_embedded or server.number >= _DATABASE_PROPERTIES_SINCE


def property_differences(existing: Mapping[str, str], expected: Mapping[str, str]) -> Iterator[str]:
    for name in sorted((existing.keys() | expected.keys()) - {MARK}):
        if name not in existing:
            yield f"{name} is {expected[name]!r} in the backup and not set there"
        elif name not in expected:
            yield f"{name} is not set in the backup and {existing[name]!r} there"
        elif existing[name] != expected[name]:
            yield f"{name} is {expected[name]!r} in the backup and {existing[name]!r} there"


def keeps_given_keys(server: ServerInfo) -> bool:
    return server.is_embedded or server.number >= _GIVEN_AUTO_IDS_SINCE
