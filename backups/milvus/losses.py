"""What a server cannot give or take back, in words for the job's warnings and refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.milvus.legal_names import refusals_of_names
from backups.milvus.offers import is_on_vector, is_vector, offers_field, type_of
from backups.milvus.offers import lacking as indexes_lacking
from backups.milvus.pinned_schema import CONSISTENCY_LEVEL, SHARDS
from backups.milvus.server import ServerInfo

_NULLS_SINCE = (2, 5, 0)
_FUNCTIONS_SINCE = (2, 5, 0)
_GIVEN_AUTO_IDS_SINCE = (2, 6, 3)
GIVEN_AUTO_IDS = "allow_insert_auto_id"
"""The property without which a full Milvus numbers rows itself, whatever they bring."""

LIFETIME = "collection.ttl.seconds"
"""The property that says how long after they were written rows are kept; 0: for ever."""

MARK = "vbase_restore"
"""The property that says which restore has made a database; the console's own, and no content."""
_DATABASE_PROPERTIES_SINCE = (2, 4, 3)

_KEPT_PARAMS = frozenset(
    ["dim", "max_length", "max_capacity", "enable_analyzer", "enable_match", "analyzer_params"]
)
"""Of fields, by the embedded engine."""

_BUCKETS = (16, 17)
"""Partitions of the embedded engine's partition key, without and with `_default`."""

_FORGOTTEN = (
    "This server does not keep descriptions of collections, fields and functions, names of "
    "indexes, the number of a partition key's partitions, consistency levels, shards, clustering "
    "keys, the max_length of an ARRAY's elements, or other parameters of fields such as "
    "mmap.enabled: they cannot be backed up and come back as its defaults."
)


_NOT_TOLD = (
    "This server does not tell which fields of a collection are loaded: all of them are after a "
    "restore."
)
_LOADS_FIELDS_SINCE = (2, 5, 0)


def forgotten(server: ServerInfo) -> tuple[str, ...]:
    """What the server has dropped already before anybody makes a backup, or tells nobody."""
    if server.is_embedded:
        return (_FORGOTTEN,)
    return (_NOT_TOLD,) if server.number >= _LOADS_FIELDS_SINCE else ()


def losses(server: ServerInfo, collection: CollectionDescription) -> tuple[str, ...]:
    """What reading this very collection from this server cannot tell truly."""
    if not server.is_embedded:
        return ()
    found = [_reading_loss(field) for field in collection.fields]
    return tuple(f"{collection.name}: {text}" for text in found if text)


def _reading_loss(field: FieldDescription) -> str:
    if field.data_type is DataType.FLOAT_VECTOR and field.nullable:
        return (
            f"field {field.name!r} is nullable, and this server stores a missing vector as zeros: "
            "null and all zeros cannot be told apart and come back as zeros."
        )
    return ""


def refusals(server: ServerInfo, collection: CollectionDescription) -> tuple[str, ...]:
    """Why this server cannot take the collection at all; empty if it can."""
    fields = [f for f in collection.columns if not f.is_dynamic]
    lacking = [
        f"field {field.name!r} is of type {field.data_type}"
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
            f"field {each.field_name!r} has an index of type {type_of(each)}"
            for each in indexes_lacking(server, collection)
            if is_on_vector(collection, each)  # without one it could not be loaded
        ]
    vectors = [f.name for f in fields if is_vector(f.data_type)]
    if not server.is_embedded and server.number < (2, 4, 0) and len(vectors) > 1:
        lacking.append(f"it has several vector fields ({', '.join(vectors)})")
    return refusals_of_names(server, collection) + tuple(
        f"Collection {collection.name!r} cannot be restored to Milvus {server.version}: {reason}, "
        "which that server does not offer."
        for reason in lacking
    )


def changes(server: ServerInfo, collection: CollectionDescription) -> tuple[str, ...]:
    """What this server takes only in another form, or not; the restore goes on and says so."""
    found = [*_lost_indexes(server, collection), *_new_keys(server, collection)]
    lifetime = collection.properties.get(LIFETIME, "")
    if not server.is_embedded and lifetime.isdigit() and int(lifetime):
        found.append(f"its rows expire {lifetime} s after the restore, not after their writing.")
    if server.is_embedded:
        found += _unkept(collection)
    return tuple(f"{collection.name}: {text}" for text in found)


def _lost_indexes(server: ServerInfo, collection: CollectionDescription) -> list[str]:
    return [
        f"the index of {each.field_name!r} is not made, because this server offers no {kind}; it "
        "answers from the rows themselves."
        for each in indexes_lacking(server, collection)
        if (kind := type_of(each))
    ]


def _new_keys(server: ServerInfo, collection: CollectionDescription) -> list[str]:
    if not collection.primary_key.auto_id or server.is_embedded:
        return []
    if not keeps_given_keys(server):
        key = collection.primary_key.name
        return [
            f"the keys of {key!r} are generated anew, because Milvus {server.version} accepts none "
            "for auto ids."
        ]
    if collection.properties.get(GIVEN_AUTO_IDS) == "true":
        return []
    return [f"it gets the property {GIVEN_AUTO_IDS}, to keep its keys."]


def _unkept(collection: CollectionDescription) -> list[str]:
    """What the embedded engine drops; nothing of what it gave itself."""
    told = {
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
        "descriptions of its functions": any(each.description for each in collection.functions),
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
    lost = [what for what, is_told in told.items() if is_told]
    return [f"this server does not keep {', '.join(lost)}."] if lost else []


def keeps_database_properties(server: ServerInfo) -> bool:
    return server.is_embedded or server.number >= _DATABASE_PROPERTIES_SINCE


def property_differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    """Yield, in words, each property that a database has otherwise than the backup's."""
    for name in sorted((found.keys() | wanted.keys()) - {MARK}):
        if name not in found:
            yield f"{name} is {wanted[name]!r} in the backup and not set there"
        elif name not in wanted:
            yield f"{name} is not set in the backup and {found[name]!r} there"
        elif found[name] != wanted[name]:
            yield f"{name} is {wanted[name]!r} in the backup and {found[name]!r} there"


def keeps_given_keys(server: ServerInfo) -> bool:
    """Whether a collection with auto ids takes the keys that its rows had."""
    return server.is_embedded or server.number >= _GIVEN_AUTO_IDS_SINCE
