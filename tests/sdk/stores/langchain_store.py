"""LangChain's Milvus store as its users call it: `python langchain_store.py URI TOKEN`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from embedding import embed
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_milvus import BM25BuiltInFunction, Milvus
from pymilvus import MilvusException


class WordEmbeddings(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [embed(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return embed(text)


DOCUMENTS = [
    Document(page_content="the red fox jumps", metadata={"source": "tale", "page": 1}),
    Document(page_content="the blue whale swims", metadata={"source": "atlas", "page": 2}),
    Document(page_content='a "quoted" text', metadata={"source": "it's", "page": 3}),
]


def store(name: str, **options: Any) -> Milvus:
    uri, token = sys.argv[1:]
    return Milvus(
        WordEmbeddings(),
        connection_args={"uri": uri, "token": token},
        collection_name=name,
        **options,
    )


def texts(found: list[Document]) -> list[str]:
    return [document.page_content for document in found]


def add_search_filter_delete() -> None:
    documents = store("langchain", auto_id=False, drop_old=True)
    documents.add_documents(DOCUMENTS, ids=["a", "b", "c"])
    assert texts(documents.similarity_search("red fox", k=1)) == ["the red fox jumps"]
    assert texts(documents.similarity_search("red fox", k=3, expr="page == 2")) == [
        "the blue whale swims"
    ]
    assert len(documents.similarity_search_with_score("fox", k=2)) == 2
    assert len(documents.max_marginal_relevance_search("the", k=2, fetch_k=3)) == 2
    assert texts(documents.search_by_metadata('source == "atlas"')) == ["the blue whale swims"]
    assert len(documents.get_pks("page > 1") or []) == 2
    documents.upsert(
        ids=["a"],
        documents=[Document(page_content="the green frog", metadata=DOCUMENTS[0].metadata)],
    )
    assert texts(documents.similarity_search("green frog", k=1)) == ["the green frog"]
    documents.delete(ids=["b"])
    documents.delete(expr="page == 3")
    assert texts(documents.similarity_search("whale", k=5)) == ["the green frog"]
    documents.drop()


def generated_ids_dynamic_fields_and_partitions() -> None:
    documents = store("langchain_auto", auto_id=True, enable_dynamic_field=True, drop_old=True)
    documents.add_texts(["one", "two"], [{"n": 1}, {"other": "x"}])
    assert texts(documents.similarity_search("two", k=1, expr='other == "x"')) == ["two"]
    tenants = store("langchain_tenants", partition_key_field="tenant", auto_id=True, drop_old=True)
    tenants.add_texts(["of alice", "of bob"], [{"tenant": "alice"}, {"tenant": "bob"}])
    assert texts(tenants.similarity_search("of", k=5, expr='tenant == "bob"')) == ["of bob"]


def words_and_vectors() -> None:
    documents = store(
        "langchain_hybrid",
        builtin_function=BM25BuiltInFunction(),
        vector_field=["vector", "sparse"],
        auto_id=True,
        drop_old=True,
    )
    documents.add_documents(DOCUMENTS)
    found = documents.similarity_search(
        "whale", k=1, ranker_type="weighted", ranker_params={"weights": [0.5, 0.5]}
    )
    assert texts(found) == ["the blue whale swims"]
    assert texts(
        documents.similarity_search("fox", k=1, ranker_type="rrf", ranker_params={"k": 60})
    ) == ["the red fox jumps"]


async def asynchronously() -> None:
    documents = store("langchain_async", auto_id=True, drop_old=True)
    await documents.aadd_documents(DOCUMENTS)
    assert texts(await documents.asimilarity_search("blue whale", k=1)) == ["the blue whale swims"]
    retriever = documents.as_retriever(search_kwargs={"k": 1})
    assert texts(await retriever.ainvoke("red fox")) == ["the red fox jumps"]


def index_of_choice() -> None:
    index = {
        "index_type": "HNSW",
        "metric_type": "COSINE",
        "params": {"M": 8, "efConstruction": 64},
    }
    documents = store("langchain_index", index_params=index, auto_id=True, drop_old=True)
    documents.add_documents(DOCUMENTS)
    assert texts(documents.similarity_search("red fox", k=1)) == ["the red fox jumps"]


def an_analyzer_that_is_not_offered_is_refused_in_words() -> None:
    function = BM25BuiltInFunction(analyzer_params={"type": "english"})
    documents = store(
        "langchain_refused",
        builtin_function=function,
        vector_field=["vector", "sparse"],
        auto_id=True,
    )
    said = ""
    try:
        documents.add_documents(DOCUMENTS)
    except MilvusException as error:
        said = str(error)
    assert "not available" in said, said


if __name__ == "__main__":
    add_search_filter_delete()
    generated_ids_dynamic_fields_and_partitions()
    words_and_vectors()
    asyncio.run(asynchronously())
    index_of_choice()
    an_analyzer_that_is_not_offered_is_refused_in_words()
