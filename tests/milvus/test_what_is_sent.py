"""Everything that a description tells reaches the server that a collection is restored to."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2

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
from backups.milvus import create
from backups.milvus.errors import Refused
from backups.milvus.server import ServerInfo

KEY = FieldDescription(name="id", data_type=DataType.INT64, is_primary_key=True)
FIELD = FieldDescription(name="n", data_type=DataType.INT64, default=Scalar(value=1))
FUNCTION = FunctionDescription(
    name="f", type="BM25", input_field_names=("n",), output_field_names=("m",)
)
INDEX = IndexDescription(field_name="n", index_name="of_n", params={"index_type": "INVERTED"})
LOAD = LoadDescription(status=LoadStatus.LOADED, replicas=1)
COLLECTION = CollectionDescription(
    name="things", fields=(KEY, FIELD), functions=(FUNCTION,), indexes=(INDEX,), load=LOAD
)


class Recorder:
    """A full Milvus that takes everything and notes it."""

    def __init__(self, *, most_replicas: int = 9) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.long_seconds = 1.0
        self._most_replicas = most_replicas

    def server(self) -> ServerInfo:
        return ServerInfo(version="v2.6.4")

    def partitions(self, _name: str) -> Any:
        return milvus_pb2.ShowPartitionsResponse(partition_names=["_default"])

    def indexes(self, _name: str) -> list[Any]:
        return []

    def load_state(self, _name: str) -> int:
        return int(common_pb2.LoadStateLoaded)

    def call(self, method: str, request: Any, **_: object) -> None:
        self.sent.append((method, request.SerializeToString(deterministic=True)))
        if getattr(request, "replica_number", 1) > self._most_replicas:
            raise Refused("no enough nodes to create replicas", permanent=True)


def sent(collection: CollectionDescription) -> list[tuple[str, bytes]]:
    recorder: Any = Recorder()
    create.create(recorder, collection, "hidden")
    create.create_indexes(recorder, collection, "hidden")
    create.load(recorder, "hidden", collection.load)
    return list(recorder.sent)


BY_THE_SWAP = {"name": "given by renaming", "aliases": "moved by the swap"}
PARTS: dict[type, Any] = {
    CollectionDescription: lambda part: part,
    FieldDescription: lambda part: dataclasses.replace(COLLECTION, fields=(KEY, part)),
    FunctionDescription: lambda part: dataclasses.replace(COLLECTION, functions=(part,)),
    IndexDescription: lambda part: dataclasses.replace(COLLECTION, indexes=(part,)),
    LoadDescription: lambda part: dataclasses.replace(COLLECTION, load=part),
}
WHOLE = {
    CollectionDescription: COLLECTION,
    FieldDescription: FIELD,
    FunctionDescription: FUNCTION,
    IndexDescription: INDEX,
    LoadDescription: LOAD,
}
OTHERS: dict[str, Any] = {
    "data_type": DataType.INT32,
    "default": Scalar(value=2),
    "element_type": DataType.INT8,
    "params": {"more": "1"},
    "properties": {"more": "1"},
    "type": "TEXTEMBEDDING",
    "status": LoadStatus.NOT_LOADED,
    "fields": ("n",),
    "functions": (),
    "indexes": (),
    "partitions": ("other",),
    "input_field_names": ("id",),
    "output_field_names": ("id",),
    "load": LoadDescription(status=LoadStatus.NOT_LOADED),
    "consistency_level": "Bounded",
    "num_partitions": 5,
    "shards": 4,
    "replicas": 2,
}
FIELDS = [
    (kind, field.name)
    for kind in PARTS
    for field in dataclasses.fields(kind)
    if not (kind is CollectionDescription and field.name in BY_THE_SWAP)
]


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_a_change_of_a_description_changes_what_is_sent(kind: type, name: str) -> None:
    whole: Any = WHOLE[kind]
    found = getattr(whole, name)
    other = not found if isinstance(found, bool) else OTHERS.get(name, "other")
    if (kind, name) == (CollectionDescription, "fields"):
        other = (KEY,)
    changed = dataclasses.replace(whole, **{name: other})
    assert sent(PARTS[kind](changed)) != sent(COLLECTION)


def test_a_field_may_have_several_indexes() -> None:
    twice = dataclasses.replace(
        COLLECTION, indexes=(INDEX, dataclasses.replace(INDEX, index_name="b"))
    )
    recorder: Any = Recorder()
    recorder.indexes = lambda _name: [INDEX]
    create.create_indexes(recorder, twice, "hidden")
    assert [method for method, _ in recorder.sent] == ["CreateIndex"]


def test_a_server_with_too_few_nodes_loads_one_replica() -> None:
    recorder: Any = Recorder(most_replicas=1)
    wanted = dataclasses.replace(LOAD, replicas=3)
    assert create.load(recorder, "hidden", wanted) == dataclasses.replace(LOAD, replicas=1)


def test_a_refusal_of_the_only_replica_is_an_error() -> None:
    recorder: Any = Recorder(most_replicas=0)
    with pytest.raises(Refused):
        create.load(recorder, "hidden", LOAD)


@pytest.mark.parametrize(
    ("version", "given", "expected"),
    [
        ("v2.3.5", {}, {"M": "16", "efConstruction": "200"}),
        ("v2.3.5", {"M": "8"}, {"M": "8", "efConstruction": "200"}),
        ("v2.3.5", {"params": '{"M":8,"efConstruction":32}'}, {}),
        ("v2.6.4", {}, {}),
    ],
)
def test_older_servers_get_the_build_parameters_that_they_require(
    version: str, given: dict[str, str], expected: dict[str, str]
) -> None:
    recorder: Any = Recorder()
    recorder.server = lambda: ServerInfo(version=version)
    params = {"index_type": "HNSW", "metric_type": "L2", **given}
    index = IndexDescription(field_name="n", index_name="of_n", params=params)
    request = create.index_request(recorder, index, "hidden")
    assert {pair.key: pair.value for pair in request.extra_params} == {**params, **expected}
