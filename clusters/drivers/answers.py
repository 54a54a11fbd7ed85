"""Answers of a running Milvus to sampled questions, to compare them before and after an upgrade.

Rows are counted and load states are read for every collection. Of at most `SAMPLED_COLLECTIONS`
collections some rows are read by key, and searched by each of their vectors.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grpc
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2

from clusters.drivers.base import ConsoleAccess, DriverError
from clusters.drivers.channel import open_channel

Answers = dict[str, dict[str, Any]]
"""`<database>/<collection>` → rows, loaded, keys, contents, searches, failure. Fits into JSON."""

SAMPLED_COLLECTIONS = 100
SAMPLED_ROWS = 3
HITS = 10
FARTHER_RANKS = 0.1
"""Share of the ranks of an approximate search that may be farther than before."""

_SECONDS = 60.0
_MAX_ANSWER_BYTES = 64 * 1024**2
_TOLERANCE = 1e-4
_SCORED = "SCORE"
"""Stands for the metrics of sparse vectors, whose scores differ between versions and segments."""
_SMALLER_IS_NEARER = ("L2", "HAMMING", "JACCARD")


def ask(access: ConsoleAccess, before: Answers | None = None) -> Answers:
    """Return the answers of all collections, or those to the same questions as `before`."""
    with open_channel(access.endpoint, access.tls, max_answer_bytes=_MAX_ANSWER_BYTES) as channel:
        server = _Server(channel, access.credential)
        try:
            keys = _collections(server) if before is None else before
            return {
                key: _ask_collection(server, key, number, before) for number, key in enumerate(keys)
            }
        except (grpc.RpcError, _Failure) as error:
            raise DriverError(f"The cluster did not answer sampled questions: {error}") from error


def differences(before: Answers, after: Answers) -> list[str]:
    """List what the second answers lack. An empty list: the server answers as before."""
    return [
        f"{key}: {problem}"
        for key, old in before.items()
        for problem in _differences(old, after.get(key, {"failure": "it is missing"}))
    ]


def row_counts(answers: Answers) -> dict[str, int | None]:
    return {key: answer["rows"] for key, answer in answers.items()}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if new["failure"] or old["failure"]:
        if new["failure"] not in ("", old["failure"]):
            yield str(new["failure"])
        return
    if old["rows"] != new["rows"]:
        yield f"{new['rows']} rows instead of {old['rows']}"
    if old["loaded"] != new["loaded"]:
        yield "it is not loaded" if old["loaded"] else "it is loaded, and was released"
    if old["contents"] != new["contents"]:
        yield "sampled rows have another content"
    for field, (metric, hits) in old["searches"].items():
        if problem := _search_problem(metric, hits, new["searches"].get(field, (metric, []))[1]):
            yield f"searches of {field} {problem}"


def _search_problem(
    metric: str, before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]
) -> str:
    """Compare hits by rank, because equal distances have no order and an index is approximate."""
    if [len(hits) for hits in before] != [len(hits) for hits in after]:
        return "find another number of rows"
    if metric == _SCORED:
        return ""
    sign = 1 if metric in _SMALLER_IS_NEARER else -1
    pairs = [
        pair for old, new in zip(before, after, strict=True) for pair in zip(old, new, strict=True)
    ]
    farther = sum(sign * new > sign * old + _TOLERANCE * max(1, abs(old)) for old, new in pairs)
    return "find rows that are less near" if farther > FARTHER_RANKS * len(pairs) else ""


class _Failure(Exception):
    """A status of the server that is not success."""


class _Server:
    def __init__(self, channel: grpc.Channel, credential: str) -> None:
        self._stub = milvus_pb2_grpc.MilvusServiceStub(channel)
        encoded = base64.b64encode(credential.encode()).decode()
        self._metadata = (("authorization", encoded),)

    def call(self, method: str, request: Any, database: str = "") -> Any:
        metadata = (*self._metadata, ("dbname", database)) if database else self._metadata
        answer = getattr(self._stub, method)(request, timeout=_SECONDS, metadata=metadata)
        status = answer.status
        if status.code or status.error_code:
            raise _Failure(f"{method}: {status.reason}")
        return answer


def _collections(server: _Server) -> list[str]:
    """List the keys `<database>/<collection>`."""
    databases = server.call("ListDatabases", milvus_pb2.ListDatabasesRequest()).db_names
    return [
        f"{database}/{name}"
        for database in sorted(databases)
        for name in sorted(
            server.call(
                "ShowCollections", milvus_pb2.ShowCollectionsRequest(db_name=database), database
            ).collection_names
        )
    ]


def _ask_collection(
    server: _Server, key: str, number: int, before: Answers | None
) -> dict[str, Any]:
    database, _, name = key.partition("/")
    answer: dict[str, Any] = {
        "rows": None, "loaded": False, "keys": [], "contents": [], "searches": {}, "failure": ""
    }  # fmt: skip
    collection = _Collection(server, database, name)
    try:
        collection.describe()
        answer["loaded"] = collection.is_loaded()
        answer["rows"] = collection.count(answer["loaded"])
        if not answer["loaded"]:
            return answer
        known = before[key]["keys"] if before is not None else None
        if known is None and number < SAMPLED_COLLECTIONS:
            known = collection.sampled_keys()
        answer["keys"] = known or []
        rows = [collection.row(key) for key in answer["keys"]]
        answer["contents"] = [_digest(row) for row in rows]
        answer["searches"] = {
            field: (
                collection.comparable_metric(field),
                [collection.search(field, row) for row in rows],
            )
            for field in collection.searchable
        }
    except _Failure as failure:
        answer["failure"] = str(failure).replace("\0", "\\0")
    return answer


class _Collection:
    def __init__(self, server: _Server, database: str, name: str) -> None:
        self._server = server
        self._database = database
        self._name = name
        self._fields: dict[str, int] = {}
        self._inputs: dict[str, str] = {}
        """Output field of a BM25 function → its input field."""

    def describe(self) -> None:
        request = milvus_pb2.DescribeCollectionRequest(collection_name=self._name)
        schema = self._call("DescribeCollection", request).schema
        self._fields = {field.name: field.data_type for field in schema.fields}
        self._key = next(field.name for field in schema.fields if field.is_primary_key)
        self._inputs = {
            function.output_field_names[0]: function.input_field_names[0]
            for function in schema.functions
            if function.output_field_names and function.input_field_names
        }
        self._dynamic = ["$meta"] if schema.enable_dynamic_field else []

    @property
    def searchable(self) -> list[str]:
        return [name for name, kind in self._fields.items() if kind in _PLACEHOLDERS]

    def is_loaded(self) -> bool:
        request = milvus_pb2.GetLoadStateRequest(collection_name=self._name)
        return bool(self._call("GetLoadState", request).state == common_pb2.LoadStateLoaded)

    def count(self, loaded: bool) -> int:
        if loaded:
            answer = self._query("", ["count(*)"])
            return int(answer.fields_data[0].scalars.long_data.data[0])
        request = milvus_pb2.GetCollectionStatisticsRequest(collection_name=self._name)
        stats = self._call("GetCollectionStatistics", request).stats
        return int(next(pair.value for pair in stats if pair.key == "row_count"))

    def sampled_keys(self) -> list[int | str]:
        """Return some keys as literals of an expression. These have no NUL, unlike keys."""
        answer = self._query("", [self._key], limit=SAMPLED_ROWS)
        for data in answer.fields_data:
            if data.field_name == self._key:
                texts = data.scalars.string_data.data
                literals = (json.dumps(text, ensure_ascii=False) for text in texts)
                return [*data.scalars.long_data.data, *literals]
        return []

    def row(self, literal: int | str) -> dict[str, Any]:
        """Return the columns of one row. A missing row has none."""
        stored = [name for name in self._fields if name not in self._inputs]
        answer = self._query(f"{self._key} == {literal}", [*stored, *self._dynamic])
        return {data.field_name: data for data in answer.fields_data}

    def metric(self, field: str) -> str:
        """Return the metric of the field's index. Empty if the field has none."""
        request = milvus_pb2.DescribeIndexRequest(
            collection_name=self._name, field_name=field, index_name=field
        )
        try:
            described = self._call("DescribeIndex", request).index_descriptions
        except _Failure:  # the field has no index
            return ""
        metrics = [
            pair.value
            for index in described
            if index.field_name == field
            for pair in index.params
            if pair.key == "metric_type"
        ]
        return metrics[0] if metrics else ""

    def comparable_metric(self, field: str) -> str:
        is_sparse = self._fields[field] == schema_pb2.SparseFloatVector
        return _SCORED if is_sparse else self.metric(field)

    def search(self, field: str, row: Mapping[str, Any]) -> list[float]:
        """Search by the row's own vector, or by its text. Returns the distances of the hits."""
        value = _placeholder(row.get(self._inputs.get(field, field)))
        if value is None:
            return []
        metric = self.metric(field)
        parameters = {"anns_field": field, "topk": str(HITS), "params": "{}"}
        if metric:
            parameters["metric_type"] = metric
        request = milvus_pb2.SearchRequest(
            collection_name=self._name,
            dsl_type=common_pb2.BoolExprV1,
            placeholder_group=common_pb2.PlaceholderGroup(placeholders=[value]).SerializeToString(),
            search_params=[
                common_pb2.KeyValuePair(key=key, value=text) for key, text in parameters.items()
            ],
            nq=1,
        )
        scores = self._call("Search", request).results.scores
        # No database stores NaN or infinity in JSON. Vectors with such numbers have such scores.
        return [float(score) for score in scores if math.isfinite(score)]

    def _query(self, expression: str, fields: Sequence[str], limit: int = 0) -> Any:
        request = milvus_pb2.QueryRequest(
            collection_name=self._name, expr=expression, output_fields=fields
        )
        if limit:
            request.query_params.add(key="limit", value=str(limit))
        return self._call("Query", request)

    def _call(self, method: str, request: Any) -> Any:
        request.db_name = self._database
        return self._server.call(method, request, self._database)


_PLACEHOLDERS = {
    schema_pb2.FloatVector: common_pb2.PlaceholderType.FloatVector,
    schema_pb2.SparseFloatVector: common_pb2.PlaceholderType.SparseFloatVector,
}


def _placeholder(data: Any | None) -> Any | None:
    """Return a search value from one row's column, or None for a null or a missing row."""
    if data is None:
        return None
    if data.type == schema_pb2.VarChar:
        texts = list(data.scalars.string_data.data)
        return _value(common_pb2.PlaceholderType.VarChar, texts[0].encode()) if texts else None
    if data.type == schema_pb2.SparseFloatVector:
        contents = list(data.vectors.sparse_float_vector.contents)
        kind = common_pb2.PlaceholderType.SparseFloatVector
        return _value(kind, contents[0]) if contents and contents[0] else None
    numbers = list(data.vectors.float_vector.data)
    packed = struct.pack(f"<{len(numbers)}f", *numbers)
    return _value(common_pb2.PlaceholderType.FloatVector, packed) if numbers else None


def _value(kind: Any, content: bytes) -> Any:
    return common_pb2.PlaceholderValue(tag="$0", type=kind, values=[content])


def _digest(row: Mapping[str, Any]) -> str:
    """Hash the columns of a row, without the numbers of its fields, which the server chooses."""
    content = hashlib.sha256()
    for name in sorted(row):
        data = schema_pb2.FieldData()
        data.CopyFrom(row[name])
        data.ClearField("field_id")
        content.update(data.SerializeToString(deterministic=True))
    return content.hexdigest()
