"""What a server cannot give or take back, in words for the job's warnings and refusals."""

from __future__ import annotations

from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.milvus.client import Server
from backups.milvus.types import offers

_NULLS_SINCE = (2, 5, 0)
_FUNCTIONS_SINCE = (2, 5, 0)
_GIVEN_AUTO_IDS_SINCE = (2, 6, 3)
GIVEN_AUTO_IDS = "allow_insert_auto_id"
"""The property without which a full Milvus numbers rows itself, whatever they bring."""

_FORGOTTEN = (
    "This server does not keep descriptions of collections and fields, names of indexes, the "
    "number of a partition key's partitions, consistency levels, shards, or the max_length of "
    "an ARRAY's elements: they cannot be backed up and come back as its defaults."
)


def forgotten(server: Server) -> tuple[str, ...]:
    """What the server has dropped already before anybody makes a backup."""
    return (_FORGOTTEN,) if server.is_embedded else ()


def losses(server: Server, collection: CollectionDescription) -> tuple[str, ...]:
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


def refusals(server: Server, collection: CollectionDescription) -> tuple[str, ...]:
    """Why this server cannot take the collection at all; empty if it can."""
    fields = [f for f in collection.columns if not f.is_dynamic]
    lacking = [
        f"field {field.name!r} is of type {field.data_type}"
        for field in fields
        if not offers(server, field.data_type)
    ]
    if not server.is_embedded and server.number < _NULLS_SINCE:
        lacking += [f"field {f.name!r} is nullable" for f in fields if f.nullable]
        lacking += [f"field {f.name!r} has a default" for f in fields if f.default is not None]
    if not server.is_embedded and server.number < _FUNCTIONS_SINCE:
        lacking += [f"it has the function {function.name!r}" for function in collection.functions]
    vectors = [f.name for f in fields if f.data_type.endswith("_VECTOR")]
    if not server.is_embedded and server.number < (2, 4, 0) and len(vectors) > 1:
        lacking.append(f"it has several vector fields ({', '.join(vectors)})")
    return tuple(
        f"Collection {collection.name!r} cannot be restored to Milvus {server.version}: {reason}, "
        "which that server does not offer."
        for reason in lacking
    )


def changes(server: Server, collection: CollectionDescription) -> tuple[str, ...]:
    """What this server takes only in another form; the restore goes on and says so."""
    if not collection.primary_key.auto_id or server.is_embedded:
        return ()
    key = collection.primary_key.name
    if keeps_given_keys(server):
        if collection.properties.get(GIVEN_AUTO_IDS) == "true":
            return ()
        return (f"{collection.name}: it gets the property {GIVEN_AUTO_IDS}, to keep its keys.",)
    return (
        f"{collection.name}: the keys of {key!r} are generated anew, because Milvus "
        f"{server.version} accepts none for auto ids.",
    )


def keeps_given_keys(server: Server) -> bool:
    """Whether a collection with auto ids takes the keys that its rows had."""
    return server.is_embedded or server.number >= _GIVEN_AUTO_IDS_SINCE
