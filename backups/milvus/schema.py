"""Description of a collection on a server: everything needed to create it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from backups.archive.scalars import Scalar
from backups.milvus.answers import checked_names, require_few_parts, require_possible_names
from backups.milvus.client import Client, mapping
from backups.milvus.errors import MilvusError, NotPermitted, UnsupportedFeature
from backups.milvus.types import data_type_of, name_of_number
from clusters.milvus_names import Kind

_PARTITIONS_ASKED = 64
"""Larger numbers are the buckets of a partition key, which are loaded together."""

_DEFAULT_RESOURCE_GROUP = "__default_resource_group"

_LOAD = {
    common_pb2.LoadStateLoaded: LoadStatus.LOADED,
    common_pb2.LoadStateLoading: LoadStatus.LOADED,
    common_pb2.LoadStateNotLoad: LoadStatus.NOT_LOADED,
}


def describe(client: Client, name: str) -> CollectionDescription:
    """Describe the collection of this name or alias. Raises UnsupportedFeature if a backup would be
    incomplete.
    """
    answer = client.describe(name)
    schema, real_name = answer.schema, answer.schema.name
    _refuse_impossible_parts(schema)
    _refuse_unsupported_features(schema)
    fields = tuple(_field(field, schema) for field in schema.fields)
    listed = client.partitions(real_name).partition_names
    partitions = tuple(sorted(checked_names(Kind.PARTITION, listed)))
    aliases, indexes = client.aliases(real_name), client.indexes(real_name)
    require_few_parts(aliases=aliases, indexes=indexes)
    _require_primary_key(real_name, fields)
    has_key = any(field.is_partition_key for field in fields)
    return CollectionDescription(
        name=real_name,
        description=schema.description,
        fields=fields,
        functions=tuple(map(_function, schema.functions)),
        enable_dynamic_field=schema.enable_dynamic_field,
        partitions=partitions,
        num_partitions=int(answer.num_partitions) or None if has_key else None,
        aliases=tuple(aliases),
        indexes=tuple(sorted(map(_index, indexes), key=lambda i: i.index_name)),
        properties=mapping((*schema.properties, *answer.properties)),
        load=_load(client, real_name, partitions),
        consistency_level=name_of_number(
            common_pb2.ConsistencyLevel, answer.consistency_level, f"Collection {real_name!r}"
        ),
        shards=answer.shards_num or None,
    )


def _refuse_impossible_parts(schema: Any) -> None:
    require_possible_names(Kind.COLLECTION, [schema.name])
    require_few_parts(fields=schema.fields, functions=schema.functions)
    require_possible_names(Kind.FIELD, (field.name for field in schema.fields))


def _require_primary_key(collection: str, fields: Sequence[FieldDescription]) -> None:
    key_types = [field.data_type for field in fields if field.is_primary_key]
    if not key_types or key_types[0] not in (DataType.INT64, DataType.VARCHAR):
        raise MilvusError(
            f"The server describes {collection!r} without a primary key of type INT64 or VARCHAR, "
            "so its rows cannot be read.",
            permanent=True,
        )


def _refuse_unsupported_features(schema: Any) -> None:
    structs = ", ".join(field.name for field in schema.struct_array_fields)
    is_external = (
        schema.external_source
        or schema.external_spec
        or any(field.external_field for field in schema.fields)
    )
    features = {
        f"arrays of structs ({structs})": schema.struct_array_fields,
        "rows outside of Milvus (an external source)": is_external,
        "a namespace for each row": schema.enable_namespace,
    }
    for feature, is_present in features.items():
        if is_present:
            raise UnsupportedFeature(
                f"Collection {schema.name!r} has {feature}, which backups do not support. "
                "Leave the collection out."
            )


def _field(field: Any, schema: Any) -> FieldDescription:
    outputs = {name for function in schema.functions for name in function.output_field_names}
    data_type = data_type_of(field.data_type, field.name)
    is_array = data_type.value == "ARRAY"
    kind = field.default_value.WhichOneof("data")
    return FieldDescription(
        name=field.name,
        data_type=data_type,
        is_primary_key=field.is_primary_key,
        auto_id=field.autoID or (field.is_primary_key and schema.autoID),
        nullable=field.nullable,
        default=None if kind is None else Scalar(value=getattr(field.default_value, kind)),
        is_partition_key=field.is_partition_key,
        is_clustering_key=field.is_clustering_key,
        is_dynamic=field.is_dynamic,
        is_function_output=field.is_function_output or field.name in outputs,
        element_type=data_type_of(field.element_type, field.name) if is_array else None,
        params=mapping((*field.type_params, *field.index_params)),
        description=field.description,
    )


def _function(function: Any) -> FunctionDescription:
    return FunctionDescription(
        name=function.name,
        type=name_of_number(
            schema_pb2.FunctionType, function.type, f"Function {function.name!r}"
        ).upper(),
        input_field_names=tuple(function.input_field_names),
        output_field_names=tuple(function.output_field_names),
        params=mapping(function.params),
        description=function.description,
    )


def _index(index: Any) -> IndexDescription:
    return IndexDescription(
        field_name=index.field_name, index_name=index.index_name, params=mapping(index.params)
    )


def _load(client: Client, name: str, partitions: Sequence[str]) -> LoadDescription:
    try:
        status = _LOAD.get(client.load_state(name), LoadStatus.UNKNOWN)
    except NotPermitted:  # a user that may only read cannot ask, and may query loaded collections
        status = LoadStatus.UNKNOWN
    if status is not LoadStatus.LOADED or client.server().is_embedded:
        return LoadDescription(status=status)
    return LoadDescription(
        status=status,
        partitions=_loaded_partitions(client, name, partitions),
        replicas=len(_replicas(client, name)) or None,
    )


def _loaded_partitions(client: Client, name: str, partitions: Sequence[str]) -> tuple[str, ...]:
    """Return the loaded partitions, or an empty tuple if all are loaded."""
    if len(partitions) > _PARTITIONS_ASKED:
        return ()
    loaded = tuple(
        partition
        for partition in partitions
        if _LOAD.get(client.load_state(name, [partition])) is LoadStatus.LOADED
    )
    return () if len(loaded) == len(partitions) else loaded


def unkept(client: Client, collection: CollectionDescription) -> Iterator[str]:
    """Describe content of a full Milvus that an archive does not contain."""
    if client.describe(collection.name).schema.file_resource_ids:
        yield (
            f"{collection.name}: the backup does not contain the files of its analyzers. The "
            "target of a restore must have these files."
        )
    if collection.load.status is LoadStatus.UNKNOWN:
        yield (
            f"{collection.name}: its load state is unknown, because the credential does not permit "
            "GetLoadState. A restore leaves it unloaded."
        )
    groups = {replica.resource_group_name for replica in _replicas(client, collection.name)}
    if others := sorted(groups - {"", _DEFAULT_RESOURCE_GROUP}):
        yield (
            f"{collection.name}: the collection is loaded in the resource groups "
            f"{', '.join(others)}. A restore loads it in the default resource group."
        )


def _replicas(client: Client, name: str) -> Sequence[Any]:
    request = milvus_pb2.GetReplicasRequest(collection_name=name)
    try:
        return list(client.call("GetReplicas", request).replicas)
    except MilvusError:
        return []
