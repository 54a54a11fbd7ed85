"""Options that the engine would ignore are refused with a reason, or implemented."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import (
    DataType,
    FieldOp,
    Function,
    FunctionType,
    LexicalHighlighter,
    MilvusClient,
    MilvusException,
)
from pymilvus.grpc_gen import milvus_pb2, schema_pb2

from tests.drivers.launched import DIMENSION, ids, make_collection, row

numbers = itertools.count()
VECTOR = [0.5] * DIMENSION


def collection_with(client: MilvusClient, field: dict[str, Any], **options: Any) -> str:
    name = f"made_{next(numbers)}"
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    if field:
        schema.add_field("more", **field)
    client.create_collection(name, schema=schema, **options)
    return name


def with_analyzer(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "datatype": DataType.VARCHAR,
        "max_length": 100,
        "enable_analyzer": True,
        "analyzer_params": parameters,
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {"tokenizer": "jieba"},
        {"type": "english"},
        {"tokenizer": {"type": "icu"}},
        {"tokenizer": "standard", "filter": [{"type": "stemmer", "language": "english"}]},
        {"tokenizer": "standard", "filter": [{"type": "stop", "stop_words": ["_english_"]}]},
        {"type": "standard", "stop_words": ["a"]},
    ],
)
def test_an_analyzer_that_would_do_something_else_is_refused(
    client: MilvusClient, parameters: dict[str, Any]
) -> None:
    with pytest.raises(MilvusException, match=r'not available.*tokenizer "standard"'):
        collection_with(client, with_analyzer(parameters))
    with pytest.raises(MilvusException, match=r'not available.*tokenizer "standard"'):
        client.run_analyzer("a text", parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"type": "standard"},
        {
            "tokenizer": "standard",
            "filter": ["lowercase", {"type": "stop", "stop_words": ["the", "a"]}],
        },
    ],
)
def test_an_analyzer_that_is_offered_is_applied(
    client: MilvusClient, parameters: dict[str, Any]
) -> None:
    collection_with(client, with_analyzer(parameters))
    tokens = client.run_analyzer("The House", parameters).tokens
    assert list(tokens) == (["house"] if "filter" in parameters else ["the", "house"])


@pytest.mark.parametrize("kind", [DataType.BINARY_VECTOR, DataType.FLOAT16_VECTOR])
def test_a_type_that_is_not_offered_is_refused(client: MilvusClient, kind: DataType) -> None:
    with pytest.raises(MilvusException, match=r"'more'.*not available.*FLOAT_VECTOR and SPARSE"):
        collection_with(client, {"datatype": kind, "dim": 32})


def test_an_array_of_structs_is_refused(client: MilvusClient) -> None:
    struct = client.create_struct_field_schema()
    struct.add_field("clip", DataType.FLOAT_VECTOR, dim=4)
    field = {
        "datatype": DataType.ARRAY,
        "element_type": DataType.STRUCT,
        "struct_schema": struct,
        "max_capacity": 5,
    }
    with pytest.raises(MilvusException, match="Arrays of structs are not available"):
        collection_with(client, field)


def test_a_function_that_calls_another_service_is_refused(client: MilvusClient) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=100)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    schema.add_function(
        Function(
            name="embed",
            function_type=FunctionType.TEXTEMBEDDING,
            input_field_names=["text"],
            output_field_names=["vector"],
            params={"provider": "openai", "model_name": "small"},
        )
    )
    with pytest.raises(MilvusException, match=r"other than BM25.*in the client"):
        client.create_collection("embedding", schema=schema)


@pytest.mark.parametrize("kind", ["IVF_PQ", "DISKANN", "GPU_CAGRA"])
def test_an_index_that_could_not_be_built_is_refused(client: MilvusClient, kind: str) -> None:
    name = collection_with(client, {})
    parameters = client.prepare_index_params()
    parameters.add_index("vector", index_type=kind, metric_type="L2", params={"nlist": 2, "m": 2})
    with pytest.raises(MilvusException, match=rf"{kind} is not available.*HNSW"):
        client.create_index(name, parameters)


@pytest.mark.parametrize("named", [{"index_type": "AUTOINDEX"}, {}])
def test_the_automatic_index_is_one_for_the_kind_of_field(
    client: MilvusClient, named: dict[str, str]
) -> None:
    name = collection_with(client, {"datatype": DataType.SPARSE_FLOAT_VECTOR})
    parameters = client.prepare_index_params()
    parameters.add_index("more", metric_type="IP", **named)
    client.create_index(name, parameters)
    assert client.describe_index(name, "more")["index_type"] == "SPARSE_INVERTED_INDEX"
    name = collection_with(client, {"datatype": DataType.INT64})
    parameters = client.prepare_index_params()
    parameters.add_index("more", **named)
    client.create_index(name, parameters)
    assert client.describe_index(name, "more")["index_type"] == "INVERTED"


def test_parameters_that_only_make_a_sparse_search_faster_are_taken(client: MilvusClient) -> None:
    name = collection_with(client, {"datatype": DataType.SPARSE_FLOAT_VECTOR})
    client.insert(name, [row(1, more={1: 0.5}), row(2, more={2: 0.5})])
    parameters = client.prepare_index_params()
    speed = {"drop_ratio_build": 0.2, "inverted_index_algo": "DAAT_MAXSCORE"}
    parameters.add_index("more", index_type="SPARSE_WAND", metric_type="IP", params=speed)
    client.create_index(name, parameters)
    search = {"metric_type": "IP", "params": {"drop_ratio_search": 0.2}}
    (hits,) = client.search(name, [{2: 1.0}], anns_field="more", search_params=search)
    assert [hit["id"] for hit in hits] == [2]


REFUSED: dict[str, tuple[str, Callable[[MilvusClient, str], Any]]] = {
    "sorted query": (
        "Sorting and grouping",
        lambda client, name: client.query(
            name, filter="id > 0", order_by_fields=[{"field": "id", "order": "desc"}]
        ),
    ),
    "highlighter": (
        "Highlighters are not available",
        lambda client, name: client.search(name, [VECTOR], highlighter=LexicalHighlighter()),
    ),
    "model as reranker": (
        "call a model",
        lambda client, name: client.search(
            name,
            [VECTOR],
            ranker=Function(
                name="r",
                function_type=FunctionType.RERANK,
                input_field_names=["text"],
                params={"reranker": "model", "provider": "cohere", "queries": ["a"]},
            ),
        ),
    ),
    "time to live of rows": (
        "ttl_field",
        lambda client, name: client.alter_collection_properties(name, {"ttl_field": "more"}),
    ),
    "missing value": (
        "no such value",
        lambda client, name: client.query(name, filter="id in {a}", filter_params={"b": [1]}),
    ),
    "operation on an array": (
        "elements of an array",
        lambda client, name: client.upsert(
            name, [row(1)], field_ops={"more": FieldOp.array_append()}
        ),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_a_remedy(client: MilvusClient, what: str) -> None:
    message, call = REFUSED[what]
    field = {"datatype": DataType.ARRAY, "element_type": DataType.INT64, "max_capacity": 5}
    name = collection_with(client, {**field, "nullable": True})
    with pytest.raises(MilvusException, match=message):
        call(client, name)


@pytest.mark.parametrize("text", [b'{"v": NaN}', b"[1, -Infinity]"])
def test_json_with_what_json_has_not_is_refused(client: MilvusClient, text: bytes) -> None:
    name = collection_with(client, {"datatype": DataType.JSON})
    with pytest.raises(MilvusException, match="cannot be NaN or infinity"):
        _insert_json(client, name, text)


@pytest.mark.parametrize("text", [b'{"v": NaN', b"[" * 100_000 + b"NaN"], ids=["cut", "deep"])
def test_json_that_cannot_be_read_is_refused(client: MilvusClient, text: bytes) -> None:
    name = collection_with(client, {"datatype": DataType.JSON})
    with pytest.raises(MilvusException, match="must be valid JSON"):
        _insert_json(client, name, text)


@pytest.mark.parametrize("parameters", [{"filter": 5}, {"filter": None}])
def test_an_analyzer_whose_filter_is_no_list_is_refused(
    client: MilvusClient, parameters: dict[str, Any]
) -> None:
    with pytest.raises(MilvusException, match="must be a list"):
        collection_with(client, with_analyzer(parameters))


def test_a_type_that_no_sdk_knows_is_refused_by_its_number(client: MilvusClient) -> None:
    schema = schema_pb2.CollectionSchema(name="unknown")
    schema.fields.add(name="id", is_primary_key=True, data_type=schema_pb2.Int64)
    schema.fields.add(name="odd", data_type=999)
    request = milvus_pb2.CreateCollectionRequest(
        collection_name="unknown", schema=schema.SerializeToString()
    )
    answer = client._get_connection()._stub.CreateCollection(request)
    assert "has the type 999" in answer.reason


def test_a_text_that_speaks_of_nan_is_taken(client: MilvusClient) -> None:
    name = collection_with(client, {"datatype": DataType.JSON})
    client.insert(name, [row(1, more={"v": "NaN"})])
    assert client.get(name, ids=[1])[0]["more"] == {"v": "NaN"}


def _insert_json(client: MilvusClient, name: str, text: bytes) -> None:
    """As an SDK that does not replace such numbers by null."""
    handler = client._get_connection()
    request = handler._prepare_row_insert_request(
        name, [row(1, more={"v": 1})], context=client._generate_call_context()
    )
    for field in request.fields_data:
        if field.field_name == "more":
            field.scalars.json_data.data[0] = text
    answer = handler._stub.Insert(request)
    if answer.status.code:
        raise MilvusException(message=answer.status.reason)


def test_an_upsert_replaces_the_row_and_a_partial_one_does_not(client: MilvusClient) -> None:
    name = collection_with(client, {"datatype": DataType.INT64, "nullable": True})
    client.insert(name, [row(1, more=5, colour="red")])
    client.upsert(name, [{"id": 1, "size": 9}], partial_update=True)
    kept = client.get(name, ids=[1])[0]
    assert (kept["more"], kept["colour"], kept["size"]) == (5, "red", 9)
    assert client.upsert(name, [row(1, size=3)])["upsert_count"] == 1
    replaced = client.get(name, ids=[1])[0]
    assert replaced == row(1, size=3, more=None)


def test_a_filter_takes_values_apart(client: MilvusClient, collection: str) -> None:
    make_collection(client, collection)
    client.insert(collection, [row(1, name='a "b"'), row(2, name="c")])
    chosen = {
        "filter": "name == {name} and id in {ids}",
        "filter_params": {"name": 'a "b"', "ids": [1, 2]},
    }
    assert [found["id"] for found in client.query(collection, **chosen)] == [1]
    (hits,) = client.search(collection, [VECTOR], **chosen)
    assert [hit["id"] for hit in hits] == [1]
    client.delete(collection, **chosen)
    assert ids(client, collection) == {2}


KEYS = [
    'a"b',
    "it's",
    "back\\slash",
    "tail\\",
    '\\"',
    "new\nline",
    "\\n",
    "",
    '"',
    '" and (x)',
    "é",
]


@pytest.mark.parametrize("condition", ["", 'pk != "plain"'])
def test_an_iterator_gives_every_key_once(
    client: MilvusClient, collection: str, condition: str
) -> None:
    schema = client.create_schema()
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=99)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    client.create_collection(collection, schema=schema)
    client.insert(collection, [{"pk": key, "vector": VECTOR} for key in KEYS])
    iterator = client.query_iterator(collection, filter=condition, batch_size=2)
    found = [iterator.next() for _ in range(len(KEYS))]
    assert sorted(each["pk"] for batch in found for each in batch) == sorted(KEYS)


def test_an_error_that_nothing_foresaw_is_an_answer(client: MilvusClient) -> None:
    """Outside the protocol pymilvus would repeat the call for minutes."""
    request = milvus_pb2.RunAnalyzerRequest(placeholder=[b"\xff"])
    answer = client._get_connection()._stub.RunAnalyzer(request)
    assert answer.status.code
    assert "Try again" in answer.status.reason
