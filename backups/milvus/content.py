"""Inventory of all fields that a server returns about databases, collections, indexes, aliases,
partitions and load states, and their treatment in a backup.

A field that is not listed fails the tests, because a restore would silently lose content that a
newer protocol has added.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

ANSWERS = (
    "DescribeDatabaseResponse",
    "DescribeCollectionResponse",
    "DescribeIndexResponse",
    "DescribeAliasResponse",
    "ShowPartitionsResponse",
    "GetLoadStateResponse",
)
"""Messages whose fields are listed, including all nested messages."""


class Treatment(enum.Enum):
    RESTORED = "is restored"
    NAMED = "is named by a refusal or a warning of the backup"
    NO_CONTENT = "is no content"


@dataclasses.dataclass(frozen=True)
class ContentField:
    treatment: Treatment
    why: str
    """Place where the field is stored or named, or the reason why it is no content."""


def _restored(place: str) -> ContentField:
    return ContentField(Treatment.RESTORED, place)


def _named(place: str) -> ContentField:
    return ContentField(Treatment.NAMED, place)


def _no_content(reason: str) -> ContentField:
    return ContentField(Treatment.NO_CONTENT, reason)


_ANSWER = _no_content("result of the call")
_NUMBER = _no_content("internal number of the server; names identify the same objects")
_TIME = _no_content("time of the original server; a restored object has its own")
_INSIDE = _restored("the nested message is listed separately")
_ASKED = _no_content("repeats the request")
_EXTERNAL = _named("schema._refuse_unsupported_features: external rows")
_STRUCTS = _named("schema._refuse_unsupported_features: arrays of structs")
_BUILD = _no_content("progress of a build; a restore builds new indexes")
_DEFAULT = _restored("FieldDescription.default")
_OTHER_TYPE = _named("types.data_type_of: fields of such a type are refused")

CONTENT: Mapping[str, Mapping[str, ContentField]] = {
    "DescribeDatabaseResponse": {
        "status": _ANSWER,
        "db_name": _restored("Capture.database"),
        "dbID": _NUMBER,
        "created_timestamp": _TIME,
        "properties": _restored("Capture.database_properties"),
    },
    "DescribeCollectionResponse": {
        "status": _ANSWER,
        "schema": _INSIDE,
        "collectionID": _NUMBER,
        "virtual_channel_names": _no_content("write channels of the server"),
        "physical_channel_names": _no_content("write channels of the server"),
        "created_timestamp": _TIME,
        "created_utc_timestamp": _TIME,
        "shards_num": _restored("CollectionDescription.shards"),
        "aliases": _no_content("same as ListAliases, which is read instead"),
        "start_positions": _no_content("start of the write channels"),
        "consistency_level": _restored("CollectionDescription.consistency_level"),
        "collection_name": _no_content("same as the schema's name, which is read instead"),
        "properties": _restored("CollectionDescription.properties"),
        "db_name": _ASKED,
        "num_partitions": _restored("CollectionDescription.num_partitions"),
        "db_id": _NUMBER,
        "request_time": _no_content("time of the request"),
        "update_timestamp": _TIME,
        "update_timestamp_str": _TIME,
    },
    "CollectionSchema": {
        "name": _restored("CollectionDescription.name"),
        "description": _restored("CollectionDescription.description"),
        "autoID": _restored("FieldDescription.auto_id of the primary key"),
        "fields": _INSIDE,
        "enable_dynamic_field": _restored("CollectionDescription.enable_dynamic_field"),
        "properties": _restored("CollectionDescription.properties"),
        "functions": _INSIDE,
        "dbName": _ASKED,
        "struct_array_fields": _STRUCTS,
        "version": _no_content("counter of schema changes on the server"),
        "external_source": _EXTERNAL,
        "external_spec": _EXTERNAL,
        "do_physical_backfill": _no_content("method of a running schema change"),
        "file_resource_ids": _named("schema.unkept: files of analyzers"),
        "enable_namespace": _named("schema._refuse_unsupported_features: namespaces"),
    },
    "FieldSchema": {
        "fieldID": _NUMBER,
        "name": _restored("FieldDescription.name"),
        "is_primary_key": _restored("FieldDescription.is_primary_key"),
        "description": _restored("FieldDescription.description"),
        "data_type": _restored("FieldDescription.data_type"),
        "type_params": _restored("FieldDescription.params"),
        "index_params": _restored("FieldDescription.params"),
        "autoID": _restored("FieldDescription.auto_id"),
        "state": _no_content("progress of a schema change"),
        "element_type": _restored("FieldDescription.element_type"),
        "default_value": _INSIDE,
        "is_dynamic": _restored("FieldDescription.is_dynamic"),
        "is_partition_key": _restored("FieldDescription.is_partition_key"),
        "is_clustering_key": _restored("FieldDescription.is_clustering_key"),
        "nullable": _restored("FieldDescription.nullable"),
        "is_function_output": _restored("FieldDescription.is_function_output"),
        "external_field": _EXTERNAL,
    },
    "ValueField": {
        "bool_data": _DEFAULT,
        "int_data": _DEFAULT,
        "long_data": _DEFAULT,
        "float_data": _DEFAULT,
        "double_data": _DEFAULT,
        "string_data": _DEFAULT,
        "bytes_data": _DEFAULT,
        "timestamptz_data": _DEFAULT,
        "date_data": _OTHER_TYPE,
        "time_data": _OTHER_TYPE,
    },
    "FunctionSchema": {
        "name": _restored("FunctionDescription.name"),
        "id": _NUMBER,
        "description": _restored("FunctionDescription.description"),
        "type": _restored("FunctionDescription.type"),
        "input_field_names": _restored("FunctionDescription.input_field_names"),
        "input_field_ids": _NUMBER,
        "output_field_names": _restored("FunctionDescription.output_field_names"),
        "output_field_ids": _NUMBER,
        "params": _restored("FunctionDescription.params"),
    },
    "StructArrayFieldSchema": dict.fromkeys(
        ("fieldID", "name", "description", "fields", "type_params", "nullable"), _STRUCTS
    ),
    "DescribeIndexResponse": {"status": _ANSWER, "index_descriptions": _INSIDE},
    "IndexDescription": {
        "index_name": _restored("IndexDescription.index_name"),
        "indexID": _NUMBER,
        "params": _restored("IndexDescription.params"),
        "field_name": _restored("IndexDescription.field_name"),
        "indexed_rows": _BUILD,
        "total_rows": _BUILD,
        "state": _BUILD,
        "index_state_fail_reason": _BUILD,
        "pending_index_rows": _BUILD,
        "min_index_version": _no_content("version of the server's index files"),
        "max_index_version": _no_content("version of the server's index files"),
    },
    "DescribeAliasResponse": {
        "status": _ANSWER,
        "db_name": _ASKED,
        "alias": _restored("CollectionDescription.aliases, from ListAliases"),
        "collection": _restored("CollectionDescription.aliases, from ListAliases"),
    },
    "ShowPartitionsResponse": {
        "status": _ANSWER,
        "partition_names": _restored("CollectionDescription.partitions"),
        "partitionIDs": _NUMBER,
        "created_timestamps": _TIME,
        "created_utc_timestamps": _TIME,
        "inMemory_percentages": _no_content("same as GetLoadState, which is read instead"),
    },
    "GetLoadStateResponse": {"status": _ANSWER, "state": _restored("LoadDescription.status")},
    "KeyValuePair": {
        "key": _restored("a map of the description"),
        "value": _restored("a map of the description"),
    },
}
WITHOUT_CONTENT = ("Status", "KeyDataPair")
"""Messages that occur only in fields without content."""
