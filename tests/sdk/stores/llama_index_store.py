"""LlamaIndex's Milvus store as its users call it: `python llama_index_store.py URI TOKEN`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from embedding import DIMENSION, embed
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from llama_index.vector_stores.milvus import MilvusVectorStore
from llama_index.vector_stores.milvus.utils import BM25BuiltInFunction


def node(name: str, text: str, **metadata: Any) -> TextNode:
    related = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"document {name}")}
    return TextNode(
        id_=name, text=text, embedding=embed(text), metadata=metadata, relationships=related
    )


NODES = [
    node("a", "the red fox jumps", source="tale", page=1),
    node("b", "the blue whale swims", source="atlas", page=2),
    node("c", 'a "quoted" text', source="it's", page=3),
]


def store(name: str, **options: Any) -> MilvusVectorStore:
    uri, token = sys.argv[1:]
    options = {"dim": DIMENSION, "overwrite": True, "use_async_client": False, **options}
    return MilvusVectorStore(uri=uri, token=token, collection_name=name, **options)


def query(text: str, **options: Any) -> VectorStoreQuery:
    return VectorStoreQuery(
        query_embedding=embed(text),
        query_str=text,
        similarity_top_k=options.pop("top", 1),
        **options,
    )


def only(key: str, value: Any, operator: FilterOperator = FilterOperator.EQ) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])


def add_search_filter_delete() -> None:
    nodes = store("llama")
    assert nodes.add(NODES) == ["a", "b", "c"]
    assert nodes.query(query("red fox")).ids == ["a"]
    assert nodes.query(query("red fox", top=3, filters=only("page", 2))).ids == ["b"]
    assert nodes.query(
        query("red", top=3, filters=only("page", [1, 3], FilterOperator.IN))
    ).ids == ["a", "c"]
    assert nodes.query(query("red", top=3, filters=only("source", "it's"))).ids == ["c"]
    assert [each.node_id for each in nodes.get_nodes(node_ids=["b"])] == ["b"]
    nodes.delete("document a")
    nodes.delete_nodes(node_ids=["b"])
    assert nodes.query(query("red fox", top=5)).ids == ["c"]
    nodes.clear()


def upsert_and_scalar_fields() -> None:
    from pymilvus import DataType

    nodes = store(
        "llama_upsert",
        upsert_mode=True,
        scalar_field_names=["page"],
        scalar_field_types=[DataType.INT64],
    )
    nodes.add(NODES)
    nodes.add([node("a", "the green frog", source="tale", page=9)])
    assert nodes.query(query("green frog", top=5, filters=only("page", 9))).ids == ["a"]


def words_and_vectors() -> None:
    nodes = store(
        "llama_hybrid", enable_sparse=True, sparse_embedding_function=BM25BuiltInFunction()
    )
    nodes.add(NODES)
    words = query("whale", mode=VectorStoreQueryMode.TEXT_SEARCH)
    assert nodes.query(words).ids == ["b"]
    both = query("red fox", mode=VectorStoreQueryMode.HYBRID)
    assert nodes.query(both).ids == ["a"]


def diverse() -> None:
    nodes = store("llama_mmr")
    nodes.add(NODES)
    assert len(nodes.query(query("the", top=2, mode=VectorStoreQueryMode.MMR)).ids) == 2


async def asynchronously() -> None:
    nodes = store("llama_async", use_async_client=True)
    await nodes.async_add(NODES)
    assert (await nodes.aquery(query("blue whale"))).ids == ["b"]
    await nodes.adelete("document b")
    assert (await nodes.aquery(query("blue whale", top=5))).ids != ["b"]


if __name__ == "__main__":
    add_search_filter_delete()
    upsert_and_scalar_fields()
    words_and_vectors()
    diverse()
    asyncio.run(asynchronously())
