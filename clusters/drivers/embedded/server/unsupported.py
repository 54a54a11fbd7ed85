"""Options of requests that the engine would silently ignore, and the messages of their refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pymilvus.grpc_gen import schema_pb2

from clusters.drivers.embedded.server.expiry import PROPERTY

_TYPES = "BOOL, INT8 to INT64, FLOAT, DOUBLE, VARCHAR, JSON, ARRAY, GEOMETRY, TIMESTAMPTZ"
_VECTORS = "FLOAT_VECTOR and SPARSE_FLOAT_VECTOR"
_OFFERED_TYPES = frozenset(
    [
        schema_pb2.Bool,
        schema_pb2.Int8,
        schema_pb2.Int16,
        schema_pb2.Int32,
        schema_pb2.Int64,
        schema_pb2.Float,
        schema_pb2.Double,
        schema_pb2.VarChar,
        schema_pb2.Array,
        schema_pb2.JSON,
        schema_pb2.Geometry,
        schema_pb2.Timestamptz,
        schema_pb2.FloatVector,
        schema_pb2.SparseFloatVector,
    ]
)
_VECTOR_INDEXES = ("AUTOINDEX", "FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8")
_WHOLE_NUMBER = re.compile(r"-?\d{1,15}")
_NON_NUMBER = re.compile(rb"NaN|Infinity")

_STRUCTS = (
    "Arrays of structs are not available in an embedded cluster. Use a JSON field, or a "
    "collection of its own for the elements."
)
_FUNCTIONS = (
    "Functions other than BM25 are not available in an embedded cluster, because it calls no other "
    "service. Compute the vectors in the client and insert them."
)
_MODELS = (
    "Rerankers that call a model are not available in an embedded cluster, because it calls no "
    "other service. Use RRFRanker, WeightedRanker or a decay function, or rerank in the client."
)
_ORDER = (
    "Sorting and grouping the rows of a query is not available in an embedded cluster. Sort or "
    "group them in the client."
)
_AGGREGATION = (
    "Aggregations of a search are not available in an embedded cluster. Use group_by_field, or "
    "aggregate in the client."
)
_HIGHLIGHTER = (
    "Highlighters are not available in an embedded cluster. Read the text with output_fields and "
    "mark the words in the client."
)
_OPERATIONS = (
    "Operations on the elements of an array are not available in an embedded cluster. Read the "
    "row, change the array, and upsert it."
)
_NUMBERS = (
    "JSON values must be valid JSON and cannot be NaN or infinity. Omit the key, or write null or "
    "a text instead."
)
_DYNAMIC = (
    "The dynamic field of a collection cannot be changed in an embedded cluster. Create the "
    "collection with enable_dynamic_field=True and insert the rows into it."
)
_TTL_FIELD = (
    "A field with the time to live of each row (ttl_field) is not available in an embedded "
    "cluster. Set collection.ttl.seconds, or delete rows with a filter."
)
_TTL = (
    f"{PROPERTY} must be a whole number of seconds. Set the seconds after which rows expire, or 0 "
    "to keep all rows."
)
_ANALYZERS = (
    'An embedded cluster offers the tokenizer "standard", which lowercases, with the filters '
    '"lowercase" and {"type": "stop", "stop_words": [words]}. Use these, or prepare the text in '
    "the client."
)


def unsupported_in(method: str, request: Any) -> str:
    """Return the message that refuses this request, or an empty text if the engine supports it."""
    check = _CHECKS.get(method)
    return next(filter(None, check(request)), "") if check else ""


def _check_create_collection(request: Any) -> Iterator[str]:
    schema = schema_pb2.CollectionSchema.FromString(request.schema)
    if schema.struct_array_fields:
        yield _STRUCTS
    if any(function.type != schema_pb2.BM25 for function in schema.functions):
        yield _FUNCTIONS
    for field in schema.fields:
        if field.data_type not in _OFFERED_TYPES:
            yield (
                f"Field {field.name!r} has the type {_name_of_type(field.data_type)}, "
                f"which is not available in an embedded cluster. It offers {_TYPES}, {_VECTORS}."
            )
        yield from _check_analyzer(field)
    yield from _check_properties(request)


def _name_of_type(number: int) -> str:
    """Return the name, or the number of a type that this version of pymilvus does not know."""
    known = schema_pb2.DataType.DESCRIPTOR.values_by_number.get(number)
    return known.name if known else str(number)


def _check_analyzer(field: Any) -> Iterator[str]:
    parameters = {pair.key: pair.value for pair in field.type_params}
    if "multi_analyzer_params" in parameters:
        yield f"Field {field.name!r} has several analyzers. {_ANALYZERS}"
    if text := parameters.get("analyzer_params"):
        yield analyzer_refusal(text)


def analyzer_refusal(text: str) -> str:
    """Return why these analyzer parameters are refused, or an empty text if all are supported."""
    try:
        parameters = json.loads(text)
    except ValueError:
        return f"analyzer_params is not valid JSON. {_ANALYZERS}"
    if not isinstance(parameters, dict):
        return f"analyzer_params must be a JSON object. {_ANALYZERS}"
    tokenizer = parameters.get("tokenizer", parameters.get("type", "standard"))
    unknown = [key for key in parameters if key not in ("tokenizer", "type", "filter")]
    if tokenizer not in ("standard", {"type": "standard"}):
        return f"The analyzer {json.dumps(tokenizer)} is not available. {_ANALYZERS}"
    if unknown:
        return f"The analyzer parameter {unknown[0]!r} is not available. {_ANALYZERS}"
    filters = parameters.get("filter", [])
    if not isinstance(filters, list):
        return f"The analyzer parameter 'filter' must be a list. {_ANALYZERS}"
    for filter_ in filters:
        if not _is_offered(filter_):
            return f"The filter {json.dumps(filter_)} is not available. {_ANALYZERS}"
    return ""


def _is_offered(filter_: Any) -> bool:
    if filter_ in ("lowercase", {"type": "lowercase"}):
        return True
    if not isinstance(filter_, dict) or set(filter_) != {"type", "stop_words"}:
        return False
    if filter_["type"] != "stop":
        return False
    words = filter_["stop_words"]
    return isinstance(words, list) and not any(str(word).startswith("_") for word in words)


def _check_properties(request: Any) -> Iterator[str]:
    for pair in request.properties:
        if pair.key == "ttl_field":
            yield _TTL_FIELD
        if pair.key == "dynamicfield.enabled":
            yield _DYNAMIC
        if pair.key == PROPERTY and not _WHOLE_NUMBER.fullmatch(pair.value):
            yield _TTL


def _check_create_index(request: Any) -> Iterator[str]:
    parameters = {pair.key: pair.value for pair in request.extra_params}
    index_type = parameters.get("index_type", "").upper()
    if index_type in ("IVF_PQ", "SCANN", "DISKANN", "IVF_RABITQ") or index_type.startswith("GPU_"):
        yield (
            f"The index type {index_type} is not available in an embedded cluster. Use one of "
            f"{', '.join(_VECTOR_INDEXES)}."
        )


def _check_query(request: Any) -> Iterator[str]:
    if {pair.key for pair in request.query_params} & {"order_by_fields", "group_by_fields"}:
        yield _ORDER


def _check_search(request: Any) -> Iterator[str]:
    if request.HasField("highlighter"):
        yield _HIGHLIGHTER
    if request.HasField("search_aggregation") or any(
        pair.key == "group_by_fields" for pair in request.search_params
    ):
        yield _AGGREGATION
    yield from _check_rerankers(request.function_score)


def _check_hybrid_search(request: Any) -> Iterator[str]:
    yield from _check_rerankers(request.function_score)
    for route in request.requests:
        yield from _check_search(route)


def _check_rerankers(function_score: Any) -> Iterator[str]:
    for function in function_score.functions:
        parameters = {pair.key: pair.value for pair in function.params}
        if parameters.get("reranker") == "model":
            yield _MODELS


def _check_insert(request: Any) -> Iterator[str]:
    for field in request.fields_data:
        if any(map(_has_non_number, field.scalars.json_data.data)):
            yield _NUMBERS


def _check_upsert(request: Any) -> Iterator[str]:
    if request.field_ops:
        yield _OPERATIONS
    yield from _check_insert(request)


def _has_non_number(text: bytes) -> bool:
    if not _NON_NUMBER.search(text):
        return False
    constants: list[str] = []
    try:
        json.loads(text, parse_constant=constants.append)
    except (ValueError, RecursionError):
        return True  # Python's reader cannot tell whether the constant is a value
    return bool(constants)


_CHECKS: dict[str, Callable[[Any], Iterable[str]]] = {
    "CreateCollection": _check_create_collection,
    "AlterCollection": _check_properties,
    "CreateIndex": _check_create_index,
    "Query": _check_query,
    "Search": _check_search,
    "HybridSearch": _check_hybrid_search,
    "Insert": _check_insert,
    "Upsert": _check_upsert,
}
