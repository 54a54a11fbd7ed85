"""Every field that a server answers about databases, collections, indexes, aliases, partitions and
load states, and what a backup makes of it.

A field that is not listed here fails the tests: a newer protocol has added content that a restore
would lose without a word.
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
"""The messages whose fields are walked, with all messages inside of them."""


class Fate(enum.Enum):
    RESTORED = "comes back with a restore"
    NAMED = "is named by a refusal or a warning of the backup"
    NO_CONTENT = "is no content"


@dataclasses.dataclass(frozen=True)
class Field:
    fate: Fate
    why: str
    """Where it is kept, where it is named, or the reason why it is no content."""


def _restored(where: str) -> Field:
    return Field(Fate.RESTORED, where)


def _named(where: str) -> Field:
    return Field(Fate.NAMED, where)


def _no_content(reason: str) -> Field:
    return Field(Fate.NO_CONTENT, reason)


_ANSWER = _no_content("says whether the call succeeded")
_NUMBER = _no_content("a number that each server gives itself; names tell the same")
_TIME = _no_content("a time of the server that made it; a restored object is made anew")
_INSIDE = _restored("what it consists of is listed by itself")
_ASKED = _no_content("repeats what was asked for")
_EXTERNAL = _named("schema._refuse_what_no_backup_holds: rows that lie elsewhere")
_STRUCTS = _named("schema._refuse_what_no_backup_holds: arrays of structs")
_BUILD = _no_content("how far a build is; a restore builds indexes anew")
_DEFAULT = _restored("FieldDescription.default")
_OTHER_TYPE = _named("types.data_type_of: fields of such a type are refused")

CONTENT: Mapping[str, Mapping[str, Field]] = {
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
        "virtual_channel_names": _no_content("where its server takes its writes"),
        "physical_channel_names": _no_content("where its server takes its writes"),
        "created_timestamp": _TIME,
        "created_utc_timestamp": _TIME,
        "shards_num": _restored("CollectionDescription.shards"),
        "aliases": _no_content("ListAliases answers the same, and is what is read"),
        "start_positions": _no_content("where its server began to take its writes"),
        "consistency_level": _restored("CollectionDescription.consistency_level"),
        "collection_name": _no_content("the schema's name, and that is what is read"),
        "properties": _restored("CollectionDescription.properties"),
        "db_name": _ASKED,
        "num_partitions": _restored("CollectionDescription.num_partitions"),
        "db_id": _NUMBER,
        "request_time": _no_content("when it was asked"),
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
        "version": _no_content("counts changes of the schema on that server"),
        "external_source": _EXTERNAL,
        "external_spec": _EXTERNAL,
        "do_physical_backfill": _no_content("how a change of the schema under way is done"),
        "file_resource_ids": _named("schema.unkept: files of analyzers"),
        "enable_namespace": _named("schema._refuse_what_no_backup_holds: namespaces"),
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
        "state": _no_content("how far a change of the schema is"),
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
        "min_index_version": _no_content("how its server writes index files"),
        "max_index_version": _no_content("how its server writes index files"),
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
        "inMemory_percentages": _no_content("GetLoadState answers it, and is what is read"),
    },
    "GetLoadStateResponse": {"status": _ANSWER, "state": _restored("LoadDescription.status")},
    "KeyValuePair": {
        "key": _restored("a map of the description"),
        "value": _restored("a map of the description"),
    },
}
WITHOUT_CONTENT = ("Status", "KeyDataPair")
"""Messages that occur only in fields that are no content."""
