"""Load collections for reading and restore their load states afterwards.

A full Milvus returns rows of loaded collections only, and loads only collections with an index.
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
from backups.milvus.errors import MilvusError, MilvusNotFound, UnsupportedFeature
from backups.milvus.indexing import ReportIndexed
from backups.milvus.polling import polls
from clusters.milvus_names import MAX_NAME_BYTES, RESERVED_PREFIX, shortened

_ALL = LoadDescription(status=LoadStatus.LOADED)
_PLAIN_INDEXES = {
    DataType.BINARY_VECTOR: ("BIN_FLAT", "HAMMING"),
    DataType.SPARSE_FLOAT_VECTOR: ("SPARSE_INVERTED_INDEX", "IP"),
}
_PLAINEST = ("FLAT", "L2")

ReportLoaded = Callable[[int], None]
"""Called with the loaded percentage. An exception ends the wait."""


def is_readable(client: Client, collection: CollectionDescription) -> bool:
    """Return True if queries return all rows in the present load state, or if it is unknown: then
    only a query can tell.
    """
    load = collection.load
    if load.status is LoadStatus.UNKNOWN:
        return True
    return needs_no_load(client) or load == dataclasses.replace(
        load, status=LoadStatus.LOADED, partitions=()
    )


def needs_no_load(client: Client) -> bool:
    return client.server().is_embedded and client.endpoint.is_console


def load_for_reading(
    client: Client, collection: CollectionDescription, report: ReportLoaded
) -> None:
    """Load the whole collection. Raises `UnsupportedFeature` if a vector field has no index."""
    unindexed = _unindexed_vectors(collection)
    if unindexed:
        names = ", ".join(field.name for field in unindexed)
        raise UnsupportedFeature(
            f"Collection {collection.name!r} is not loaded and cannot be loaded for reading, "
            f"because {names} has no index. Create the index, or leave the collection out."
        )
    _load(client, collection.name, report)


def restore_load_state(client: Client, name: str, load: LoadDescription) -> None:
    """Release everything that `load` does not contain. A deleted collection needs nothing."""
    try:
        if load.status is LoadStatus.LOADED:
            others = set(client.partitions(name).partition_names) - set(load.partitions)
            request = milvus_pb2.ReleasePartitionsRequest(
                collection_name=name, partition_names=sorted(others)
            )
            client.call("ReleasePartitions", request, seconds=client.long_seconds)
        else:
            create.release(client, name)
    except MilvusNotFound:
        return


@contextmanager
def loaded_for_reading(
    client: Client,
    collection: CollectionDescription,
    name: str,
    report_indexed: ReportIndexed,
    report_loaded: ReportLoaded,
) -> Iterator[None]:
    """Index and load a hidden collection while its rows are compared.

    Afterwards the collection is released and has only the indexes of its description. The console
    needs no load in its own clusters.
    """
    if needs_no_load(client):
        yield
        return
    temporary = [_temporary_index(field) for field in _unindexed_vectors(collection)]
    indexed = dataclasses.replace(collection, indexes=(*collection.indexes, *temporary))
    create.create_indexes(client, indexed, name)
    for _ in polls():
        done, total = create.index_progress(client, name)
        if done >= total:
            break
        report_indexed(done, total)
    _load(client, name, report_loaded)
    try:
        yield
    finally:
        create.release(client, name)
        for index in temporary:
            request = milvus_pb2.DropIndexRequest(
                collection_name=name, field_name=index.field_name, index_name=index.index_name
            )
            client.call("DropIndex", request, seconds=client.long_seconds)


def _unindexed_vectors(collection: CollectionDescription) -> Sequence[FieldDescription]:
    indexed = {index.field_name for index in collection.indexes}
    vectors = (field for field in collection.fields if field.data_type.endswith("_VECTOR"))
    return [field for field in vectors if field.name not in indexed]


def _temporary_index(field: FieldDescription) -> IndexDescription:
    index_type, metric = _PLAIN_INDEXES.get(field.data_type, _PLAINEST)
    return IndexDescription(
        field_name=field.name,
        index_name=shortened(f"{RESERVED_PREFIX}{field.name}", MAX_NAME_BYTES),
        params={"index_type": index_type, "metric_type": metric},
    )


def _load(client: Client, name: str, report: ReportLoaded) -> None:
    try:
        create.load(client, name, _ALL)
    except MilvusError as error:
        raise MilvusError(
            f"Collection {name!r} could not be loaded for reading: {error}",
            permanent=error.permanent,
        ) from error
    for percent in create.loading(client, name, _ALL):
        report(percent)
