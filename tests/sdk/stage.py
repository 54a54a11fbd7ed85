"""Objects for the calls of the SDK: one server, standing collections, and new ones by name."""

from __future__ import annotations

import itertools
from typing import Any

from pymilvus import DataType, Function, FunctionType, MilvusClient

from tests.drivers.launched import TOKEN, Launched

DIMENSION = 4
BOOKS = 10
ALIAS = "sdk"


def vector(number: int) -> list[float]:
    return [float(number), 1.0, 2.0, 3.0]


def book(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "vector": vector(number), "text": f"book number {number}", **fields}


class Stage:
    """`books` is only read. `fresh` makes a collection of the same kind for one call."""

    def __init__(self, server: Launched) -> None:
        self.server = server
        self.uri = f"http://127.0.0.1:{server.port}"
        self.token = TOKEN
        self.asynchronous: Any = None
        self.client: MilvusClient = server.client()
        self._numbers = itertools.count(1)
        self.books = self.fresh("books", rows=BOOKS)
        self.client.create_partition(self.books, "old")
        self.client.create_alias(self.books, "books_alias")
        self.client.create_snapshot("standing", self.books)
        self.client.create_database("shelf")

    def name(self, prefix: str = "c") -> str:
        return f"{prefix}_{next(self._numbers)}"

    def fresh(self, name: str = "", *, rows: int = 3, index: bool = False) -> str:
        name = name or self.name()
        self.client.create_collection(name, schema=self.schema())
        if rows:
            self.client.insert(name, [book(number) for number in range(1, rows + 1)])
        if index:
            self.client.create_index(name, self.index())
        return name

    def schema(self) -> Any:
        schema = self.client.create_schema(enable_dynamic_field=True)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        schema.add_field(
            "text", DataType.VARCHAR, max_length=100, enable_analyzer=True, enable_match=True
        )
        schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
        schema.add_function(bm25())
        return schema

    def index(self) -> Any:
        parameters = self.client.prepare_index_params()
        parameters.add_index("vector", index_type="FLAT", metric_type="L2")
        return parameters

    def words_index(self, field: str) -> Any:
        parameters = self.client.prepare_index_params()
        parameters.add_index(field, index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
        return parameters

    def aliased(self, name: str = "") -> str:
        """A fresh collection's new alias."""
        alias = self.name("alias")
        self.client.create_alias(name or self.fresh(), alias)
        return alias

    def partitioned(self) -> str:
        name = self.fresh()
        self.client.create_partition(name, "part")
        self.client.insert(name, [book(100)], partition_name="part")
        return name

    def indexed(self, *, released: bool = False) -> str:
        name = self.fresh(index=True)
        if released:
            self.client.release_collection(name)
        return name

    def snapshot(self) -> tuple[str, str]:
        name = self.fresh()
        self.client.create_snapshot("mine", name)
        return "mine", name

    def restore_job(self) -> int:
        snapshot, source = self.snapshot()
        return int(self.client.restore_snapshot(snapshot, source, self.name("restored")))

    def database(self) -> str:
        name = self.name("db")
        self.client.create_database(name)
        return name


def bm25() -> Function:
    return Function(
        name="bm25",
        function_type=FunctionType.BM25,
        input_field_names=["text"],
        output_field_names=["sparse"],
    )
