"""GET /clusters/{cluster_id}/collections, against a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from clusters.models import Cluster
from clusters.services import delete_cluster, stop_cluster
from tests.api.client import Api
from tests.backups.conftest import fill

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def address(cluster: Cluster) -> str:
    return f"/clusters/{cluster.cluster_id}/collections"


@pytest.fixture
def images(milvus: MilvusClient) -> MilvusClient:
    fill(milvus, "images", rows=20)
    milvus.create_alias("images", "pictures")
    return milvus


def test_it_lists_the_facts_of_a_collection(api: Api, images: MilvusClient, address: str) -> None:
    said = api.get(address)
    (listed,) = said["collections"]
    assert listed.pop("sizeBytes") > 0
    assert listed == {
        "dbName": "default",
        "name": "images",
        "rowCount": 20,
        "loadState": "LOADED",
        "partitionCount": 1,
        "aliases": ["pictures"],
        "indexes": [
            {
                "fieldName": "vector",
                "indexType": "HNSW",
                "metricType": "COSINE",
                "state": "FINISHED",
                "indexedRows": 20,
                "totalRows": 20,
            }
        ],
        "coverage": "UNCOVERED",
    }
    assert said["total"] == 1


def test_it_pages_by_database_and_name(api: Api, milvus: MilvusClient, address: str) -> None:
    milvus.create_database("films")
    for database, name in [("default", "b"), ("default", "a"), ("films", "c")]:
        milvus.use_database(database)
        fill(milvus, name, rows=0)
    pages = [api.get(address, page=page, pageSize=2) for page in (1, 2, 3)]
    names = [[row["name"] for row in page["collections"]] for page in pages]
    assert names == [["a", "b"], ["c"], []]
    assert {page["total"] for page in pages} == {3}


def test_it_lists_one_database(api: Api, milvus: MilvusClient, address: str) -> None:
    fill(milvus, rows=0)
    milvus.create_database("films")
    assert api.get(address, dbName="films")["collections"] == []
    assert api.get(address, dbName="default")["total"] == 1


def test_it_names_the_databases_for_an_unknown_one(
    api: Api, milvus: MilvusClient, address: str
) -> None:
    milvus.create_database("films")
    said = api.get(address, dbName="nowhere")
    assert said.code == "NOT_FOUND"
    assert said["response"]["message"] == "There is no database 'nowhere', only default, films."


def test_it_omits_the_collections_of_the_console(
    api: Api, cluster: Cluster, images: MilvusClient, address: str
) -> None:
    from backups.connections import connect

    with connect(cluster, "default") as client:
        client.rename("images", "_vbase_hidden")
    assert api.get(address)["total"] == 0


def test_a_policy_covers_a_collection_that_no_scan_has_found(
    api: Api, cluster: Cluster, images: MilvusClient, address: str
) -> None:
    create_policy(cluster, PolicySpec(schedule_cron="0 3 * * *", retention_count=7))
    assert [row["coverage"] for row in api.get(address)["collections"]] == ["COVERED"]


def test_a_stopped_cluster_is_refused_with_the_remedy(
    api: Api, cluster: Cluster, address: str, work: Callable[[], int]
) -> None:
    stop_cluster(cluster, by="a test")
    work()
    said = api.get(address)
    assert said.code == "FAILED_PRECONDITION"
    assert "RUNNING" in said["response"]["message"]


def test_a_deleted_cluster_has_none(
    api: Api, cluster: Cluster, address: str, work: Callable[[], int]
) -> None:
    delete_cluster(cluster, by="a test")
    work()
    assert api.get(address)["collections"] == []


def test_a_stranger_does_not_find_the_cluster(stranger: Api, address: str) -> None:
    assert stranger.get(address).code == "NOT_FOUND"
