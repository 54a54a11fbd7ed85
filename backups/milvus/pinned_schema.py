"""Description of a pinned collection, as of the same instant as its rows."""

from __future__ import annotations

import json
from typing import Any

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

_FUNCTION_TYPES = {1: "BM25", 2: "TEXTEMBEDDING"}
CONSISTENCY_LEVEL = "Strong"
SHARDS = 1
"""The engine's answer for every collection."""


def described(pinned: dict[str, Any]) -> CollectionDescription:
    """Return the description that `backups.milvus.schema.describe` gave at that instant."""
    schema = pinned["schema"]
    fields = tuple(_field(field) for field in schema["fields"])
    partitions = tuple(sorted(pinned["partitions"]))
    has_key = any(field.is_partition_key for field in fields)
    return CollectionDescription(
        name=pinned["name"],
        fields=fields,
        functions=tuple(_function(function) for function in schema.get("functions", ())),
        enable_dynamic_field=schema["enable_dynamic_field"],
        partitions=partitions,
        num_partitions=len(partitions) if has_key else None,
        aliases=tuple(sorted(pinned["aliases"])),
        indexes=tuple(_index(pinned["indexes"][name]) for name in sorted(pinned["indexes"])),
        properties={key: str(value) for key, value in schema["properties"].items()},
        load=LoadDescription(
            status=LoadStatus.NOT_LOADED
            if pinned["load_state"] == "released"
            else LoadStatus.LOADED
        ),
        consistency_level=CONSISTENCY_LEVEL,
        shards=SHARDS,
    )


def _field(field: dict[str, Any]) -> FieldDescription:
    element_type, default = field["element_type"], field["default_value"]
    return FieldDescription(
        name=field["name"],
        data_type=DataType(field["dtype"].upper()),
        is_primary_key=field["is_primary"],
        auto_id=field["auto_id"],
        nullable=field["nullable"],
        default=None if default is None else Scalar(value=default),
        is_partition_key=field.get("is_partition_key", False),
        is_function_output=field.get("is_function_output", False),
        element_type=None if element_type is None else DataType(element_type.upper()),
        params=_params(field),
    )


def _params(field: dict[str, Any]) -> dict[str, str]:
    numbers = ("dim", "max_capacity", "max_length")
    params = {name: str(field[name]) for name in numbers if field[name] is not None}
    flags = ("enable_analyzer", "enable_match")
    params.update({name: "true" for name in flags if field.get(name)})
    if field.get("analyzer_params"):
        params["analyzer_params"] = json.dumps(field["analyzer_params"])
    return params


def _function(function: dict[str, Any]) -> FunctionDescription:
    params = function["params"].items()
    return FunctionDescription(
        name=function["name"],
        type=_FUNCTION_TYPES[function["function_type"]],
        input_field_names=tuple(function["input_field_names"]),
        output_field_names=tuple(function["output_field_names"]),
        params={
            key: value if isinstance(value, str) else json.dumps(value) for key, value in params
        },
    )


def _index(index: dict[str, Any]) -> IndexDescription:
    params = {"index_type": index["index_type"], "metric_type": index["metric_type"]}
    nested = {name: index[f"{name}_params"] for name in ("build", "search")}
    if nested["build"]:
        params["params"] = json.dumps(nested["build"], sort_keys=True)
    if nested["search"]:
        params["search_params"] = json.dumps(nested["search"], sort_keys=True)
    return IndexDescription(
        field_name=index["field_name"], index_name=index["field_name"], params=params
    )
