"""A full Milvus gives only the rows of what is loaded, and loads only what has an index: so what is
to be read is loaded for that, and afterwards is as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pymilvus.grpc_gen import milvus_pb2

from backups.archive.description import (
    CollectionDescription,
    DataType,
    FieldDescription,
    IndexDescription,
    LoadDescription,
    LoadStatus,
)
from backups.milvus import create
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError, MilvusNotFound, Unsupported
from backups.milvus.indexing import Say
from backups.milvus.polling import looks
from clusters.milvus_names import MAX_NAME_BYTES, RESERVED_PREFIX, shortened

_ALL = LoadDescription(status=LoadStatus.LOADED)
_PLAIN_INDEXES = {
    DataType.BINARY_VECTOR: ("BIN_FLAT", "HAMMING"),
    DataType.SPARSE_FLOAT_VECTOR: ("SPARSE_INVERTED_INDEX", "IP"),
}
_PLAINEST = ("FLAT", "L2")

SayLoaded = Callable[[int], None]
"""Told of the percent that is loaded; what it raises ends the wait."""


def is_readable(client: Client, collection: CollectionDescription) -> bool:
    """Whether all of its rows answer queries as it is."""
    load = collection.load
    return client.server().is_embedded or load == dataclasses.replace(
        load, status=LoadStatus.LOADED, partitions=()
    )


def load_for_reading(client: Client, collection: CollectionDescription, say: SayLoaded) -> None:
    """All of it. Raises `Unsupported` where it has no index, because then no server would."""
    indexed = {index.field_name for index in collection.indexes}
    missing = [field.name for field in _vectors(collection) if field.name not in indexed]
    if missing:
        raise Unsupported(
            f"Collection {collection.name!r} is not loaded, and this Milvus gives no rows of it "
            f"before it is; it cannot be loaded, because {', '.join(missing)} has no index. "
            "Build one, or leave the collection out."
        )
    _load(client, collection.name, say)


def restore_load_state(client: Client, name: str, load: LoadDescription) -> None:
    """Release everything that `load` does not contain. A deleted collection needs nothing."""
    try:
        if load.status is LoadStatus.LOADED:
            _release_others(client, name, load.partitions)
        else:
            create.release(client, name)
    except MilvusNotFound:
        return


@contextmanager
def loaded_for_reading(
    client: Client,
    collection: CollectionDescription,
    name: str,
    say_indexed: Say,
    say_loaded: SayLoaded,
) -> Iterator[None]:
    """A collection of our own, made after that description: with its indexes, and loaded. It is
    left released, with its own indexes and no others. The embedded engine needs none of that.
    """
    if client.server().is_embedded:
        yield
        return
    plain = _plain_indexes(collection)
    wanted = dataclasses.replace(collection, indexes=(*collection.indexes, *plain))
    create.create_indexes(client, wanted, name)
    _wait_for_indexes(client, name, say_indexed)
    _load(client, name, say_loaded)
    try:
        yield
    finally:
        create.release(client, name)
        for index in plain:
            _drop_index(client, name, index)


def _vectors(collection: CollectionDescription) -> Sequence[FieldDescription]:
    return [field for field in collection.fields if field.data_type.endswith("_VECTOR")]


def _plain_indexes(collection: CollectionDescription) -> tuple[IndexDescription, ...]:
    """For the vectors that have none of their own."""
    indexed = {index.field_name for index in collection.indexes}
    return tuple(_plain_index(field) for field in _vectors(collection) if field.name not in indexed)


def _plain_index(field: FieldDescription) -> IndexDescription:
    index_type, metric = _PLAIN_INDEXES.get(field.data_type, _PLAINEST)
    return IndexDescription(
        field_name=field.name,
        index_name=shortened(f"{RESERVED_PREFIX}{field.name}", MAX_NAME_BYTES),
        params={"index_type": index_type, "metric_type": metric},
    )


def _load(client: Client, name: str, say: SayLoaded) -> None:
    try:
        create.load(client, name, _ALL)
    except MilvusError as error:
        raise MilvusError(
            f"Collection {name!r} could not be loaded for reading: {error}",
            permanent=error.permanent,
        ) from error
    for percent in create.loading(client, name, _ALL):
        say(percent)


def _wait_for_indexes(client: Client, name: str, say: Say) -> None:
    for _ in looks():
        done, total = create.index_progress(client, name)
        if done >= total:
            return
        say(done, total)


def _release_others(client: Client, name: str, loaded: Sequence[str]) -> None:
    others = set(client.partitions(name).partition_names) - set(loaded)
    request = milvus_pb2.ReleasePartitionsRequest(
        collection_name=name, partition_names=sorted(others)
    )
    client.call("ReleasePartitions", request, seconds=client.long_seconds)


def _drop_index(client: Client, name: str, index: IndexDescription) -> None:
    request = milvus_pb2.DropIndexRequest(
        collection_name=name, field_name=index.field_name, index_name=index.index_name
    )
    client.call("DropIndex", request, seconds=client.long_seconds)
