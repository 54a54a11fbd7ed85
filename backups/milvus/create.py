"""Create collections from their descriptions, with indexes and load states."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from backups.archive.description import (
    CollectionDescription,
    DataType,
    FieldDescription,
    FunctionDescription,
    IndexDescription,
    LoadDescription,
    LoadStatus,
)
from backups.milvus.client import Client, pairs
from backups.milvus.errors import Refused
from backups.milvus.losses import GIVEN_AUTO_IDS, keeps_given_keys
from backups.milvus.polling import polls
from backups.milvus.server import ServerInfo
from backups.milvus.types import NUMBERS

_DEFAULT_PARTITION = "_default"
_WHOLE = 100
_INDEX_MEMBERS = frozenset(["index_type", "metric_type", "params", "search_params"])
"""Index parameters that the embedded engine reads at the top level. Others belong in `params`."""

_REQUIRED_PARAMS_UNTIL = (2, 5, 0)
_REQUIRED_PARAMS = {
    "HNSW": {"M": "16", "efConstruction": "200"},
    "IVF_FLAT": {"nlist": "128"},
    "IVF_SQ8": {"nlist": "128"},
}
"""Build parameters that older full servers require, with the defaults of the embedded engine, which
does not store a parameter that was not given.
"""

_DEFAULT_MEMBERS: dict[DataType, str] = {
    DataType.BOOL: "bool_data",
    DataType.INT8: "int_data",
    DataType.INT16: "int_data",
    DataType.INT32: "int_data",
    DataType.INT64: "long_data",
    DataType.FLOAT: "float_data",
    DataType.DOUBLE: "double_data",
    DataType.VARCHAR: "string_data",
    DataType.TEXT: "string_data",
    DataType.GEOMETRY: "string_data",
    DataType.JSON: "bytes_data",
    DataType.TIMESTAMPTZ: "timestamptz_data",
}
_FUNCTION_TYPES = {name.upper(): number for name, number in schema_pb2.FunctionType.items()}


def create(client: Client, collection: CollectionDescription, name: str) -> None:
    """Create the empty collection with its partitions, without indexes and aliases, not loaded."""
    request = milvus_pb2.CreateCollectionRequest(
        collection_name=name,
        schema=schema_pb2.CollectionSchema(
            name=name,
            description=collection.description,
            autoID=collection.primary_key.auto_id,
            enable_dynamic_field=collection.enable_dynamic_field,
            fields=[_field(field) for field in collection.fields if not field.is_dynamic],
            functions=[_function(function) for function in collection.functions],
        ).SerializeToString(),
        shards_num=collection.shards or 0,
        num_partitions=collection.num_partitions or 0,
        properties=pairs(_properties(collection, client.server())),
    )
    if collection.consistency_level is not None:
        level = common_pb2.ConsistencyLevel.Value(collection.consistency_level)
        request.consistency_level = level
    client.call("CreateCollection", request)
    if not has_partition_key(collection):
        create_partitions(client, collection, name)


def _properties(collection: CollectionDescription, server: ServerInfo) -> dict[str, str]:
    properties = dict(collection.properties)
    if collection.primary_key.auto_id and not server.is_embedded and keeps_given_keys(server):
        properties[GIVEN_AUTO_IDS] = "true"
    return properties


def create_partitions(client: Client, collection: CollectionDescription, name: str) -> None:
    existing = set(client.partitions(name).partition_names)
    for partition in collection.partitions:
        if partition not in existing:
            request = milvus_pb2.CreatePartitionRequest(
                collection_name=name, partition_name=partition
            )
            client.call("CreatePartition", request)


def has_partition_key(collection: CollectionDescription) -> bool:
    """Return True if the server chooses the partition of each row."""
    return any(field.is_partition_key for field in collection.fields)


def create_indexes(client: Client, collection: CollectionDescription, name: str) -> None:
    existing = index_names(client, name)
    for index in collection.indexes:
        if index_name(client, index) not in existing:
            request = index_request(client, index, name)
            client.call("CreateIndex", request, seconds=client.long_seconds)


def index_names(client: Client, name: str) -> frozenset[str]:
    return frozenset(index_name(client, index) for index in client.indexes(name))


def index_name(client: Client, index: Any) -> str:
    """Return the index name. The embedded engine names an index after its field."""
    return str(index.field_name if client.server().is_embedded else index.index_name)


def index_progress(client: Client, name: str) -> tuple[int, int]:
    """Return the indexed rows and the rows to index, summed over all indexes."""
    indexes = client.indexes(name)
    finished, failed = common_pb2.IndexState.Finished, common_pb2.IndexState.Failed
    for index in indexes:
        if index.state == failed:
            reason = index.index_state_fail_reason or "no reason given"
            raise Refused(f"Index {index.index_name!r} was not built: {reason}.", permanent=True)
    done = [i.total_rows if i.state == finished else i.indexed_rows for i in indexes]
    unfinished = sum(1 for index in indexes if index.state != finished and not index.total_rows)
    return sum(done), sum(index.total_rows for index in indexes) + unfinished


def load(client: Client, name: str, load_state: LoadDescription) -> LoadDescription:
    """Start to restore the load state; `loading` reports its progress.

    Returns the actual load state: one replica if the server has too few nodes for all replicas.
    """
    if load_state.status is not LoadStatus.LOADED:
        # the embedded engine loads new collections
        loaded = client.load_state(name) == common_pb2.LoadStateLoaded
        if loaded and load_state.status is LoadStatus.NOT_LOADED:
            release(client, name)
        return load_state
    if client.server().is_embedded:
        load_state = LoadDescription(status=LoadStatus.LOADED)
    try:
        _load(client, name, load_state)
    except Refused:
        if (load_state.replicas or 1) == 1:
            raise
        load_state = dataclasses.replace(load_state, replicas=1)
        _load(client, name, load_state)
    return load_state


def _load(client: Client, name: str, load_state: LoadDescription) -> None:
    replicas = load_state.replicas or 1
    if load_state.partitions:
        request: Any = milvus_pb2.LoadPartitionsRequest(
            collection_name=name, partition_names=load_state.partitions, replica_number=replicas
        )
        client.call("LoadPartitions", request, seconds=client.long_seconds)
        return
    request = milvus_pb2.LoadCollectionRequest(
        collection_name=name, replica_number=replicas, load_fields=load_state.fields
    )
    client.call("LoadCollection", request, seconds=client.long_seconds)


def loading(client: Client, name: str, load_state: LoadDescription) -> Iterator[int]:
    if load_state.status is not LoadStatus.LOADED:
        return
    request = milvus_pb2.GetLoadingProgressRequest(
        collection_name=name, partition_names=load_state.partitions
    )
    for _ in polls():
        percent = int(client.call("GetLoadingProgress", request).progress)
        yield percent
        if percent >= _WHOLE:
            return


def load_whole(client: Client, name: str, *, seconds: float) -> None:
    """Start to load all partitions. An embedded server answers when they are loaded."""
    request = milvus_pb2.LoadCollectionRequest(collection_name=name, replica_number=1)
    client.call("LoadCollection", request, seconds=seconds)


def release(client: Client, name: str, *, seconds: float | None = None) -> None:
    request = milvus_pb2.ReleaseCollectionRequest(collection_name=name)
    client.call("ReleaseCollection", request, seconds=seconds or client.long_seconds)


def _field(field: FieldDescription) -> Any:
    message = schema_pb2.FieldSchema(
        name=field.name,
        description=field.description,
        data_type=NUMBERS[field.data_type],
        is_primary_key=field.is_primary_key,
        autoID=field.auto_id,
        nullable=field.nullable,
        is_partition_key=field.is_partition_key,
        is_clustering_key=field.is_clustering_key,
        is_function_output=field.is_function_output,
        type_params=pairs(dict(field.params)),
    )
    if field.element_type is not None:
        message.element_type = NUMBERS[field.element_type]
    if field.default is not None:
        # servers store the default of a TIMESTAMPTZ as text or as a number
        is_text = isinstance(field.default.value, str)
        member = "string_data" if is_text else _DEFAULT_MEMBERS[field.data_type]
        setattr(message.default_value, member, field.default.value)
    return message


def _function(function: FunctionDescription) -> Any:
    return schema_pb2.FunctionSchema(
        name=function.name,
        description=function.description,
        type=_FUNCTION_TYPES[function.type],
        input_field_names=function.input_field_names,
        output_field_names=function.output_field_names,
        params=pairs(dict(function.params)),
    )


def index_request(client: Client, index: IndexDescription, name: str) -> Any:
    server = client.server()
    params = _nested(index.params) if server.is_embedded else dict(index.params)
    if not server.is_embedded and server.number < _REQUIRED_PARAMS_UNTIL:
        given = params.keys() | json.loads(params.get("params") or "{}").keys()
        required = _REQUIRED_PARAMS.get(params.get("index_type", ""), {})
        params |= {name: required[name] for name in required.keys() - given}
    return milvus_pb2.CreateIndexRequest(
        collection_name=name,
        field_name=index.field_name,
        index_name=index.index_name,
        extra_params=pairs(params),
    )


def _nested(params: Mapping[str, str]) -> dict[str, str]:
    """Nest build parameters in `params`, because the embedded engine reads them only there."""
    known = {key: value for key, value in params.items() if key in _INDEX_MEMBERS}
    loose = {key: _number_or_text(params[key]) for key in sorted(params.keys() - _INDEX_MEMBERS)}
    if loose:
        known["params"] = json.dumps({**json.loads(known.get("params") or "{}"), **loose})
    return known


def _number_or_text(text: str) -> int | str:
    return int(text) if text.isascii() and text.lstrip("-").isdigit() else text
