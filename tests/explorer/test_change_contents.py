"""Databases are created and dropped, collections loaded and released, through the API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.conftest import fill
from vbase_console.organizations.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def of(cluster: Cluster) -> str:
    return f"/clusters/{cluster.cluster_id}"


def audited() -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.order_by("pk").values_list("action", "outcome", "detail")
    return [entry for entry in entries if entry[0] != "CreateCluster"]


def test_a_database_is_created(api: Api, milvus: MilvusClient, of: str) -> None:
    assert api.post(f"{of}/databases", name="films").body["success"]
    assert "films" in milvus.list_databases()
    assert audited() == [("CreateDatabase", "ACCEPTED", "database films")]


def test_a_database_that_exists_is_not_created_again(
    api: Api, milvus: MilvusClient, of: str
) -> None:
    assert api.post(f"{of}/databases", name="default").code == "ALREADY_EXISTS"


def test_a_name_that_no_server_stores_is_an_invalid_argument(
    api: Api, milvus: MilvusClient, of: str
) -> None:
    assert "name" in api.post(f"{of}/databases", name="a/b").field_errors


def test_an_empty_database_is_dropped(api: Api, milvus: MilvusClient, of: str) -> None:
    milvus.create_database("films")
    assert api.delete(f"{of}/databases/films").body["success"]
    assert "films" not in milvus.list_databases()


def test_a_database_with_collections_is_kept(api: Api, milvus: MilvusClient, of: str) -> None:
    milvus.create_database("films")
    milvus.use_database("films")
    fill(milvus, rows=0)
    said = api.delete(f"{of}/databases/films")
    assert said.code == "FAILED_PRECONDITION"
    assert "1 collection" in said["response"]["message"]
    assert "films" in milvus.list_databases()


def test_the_default_database_is_kept(api: Api, milvus: MilvusClient, of: str) -> None:
    assert api.delete(f"{of}/databases/default").code == "FAILED_PRECONDITION"


def test_a_released_collection_is_loaded_again(api: Api, milvus: MilvusClient, of: str) -> None:
    fill(milvus, rows=10)
    load_state = lambda: str(milvus.get_load_state("images")["state"])  # noqa: E731
    assert api.post(f"{of}/collections/images/release").body["success"]
    assert load_state() == "NotLoad"
    assert api.post(f"{of}/collections/images/load", dbName="default").body["success"]
    assert load_state() == "Loaded"
    assert [entry[2] for entry in audited()] == ["collection default.images"] * 2


def test_an_unknown_collection_is_not_found(api: Api, milvus: MilvusClient, of: str) -> None:
    assert api.post(f"{of}/collections/nothing/load").code == "NOT_FOUND"
    assert audited()[0][1] == "REFUSED"


def test_a_collection_of_the_console_is_not_found(api: Api, milvus: MilvusClient, of: str) -> None:
    assert api.post(f"{of}/collections/_vbase_x/release").code == "NOT_FOUND"


def test_a_repeated_request_is_answered_once(api: Api, milvus: MilvusClient, of: str) -> None:
    first = api.send("POST", f"{of}/databases", body={"name": "films"}, idempotency_key="one")
    again = api.send("POST", f"{of}/databases", body={"name": "films"}, idempotency_key="one")
    assert (first.status, again.status) == (200, 200)
    assert len(audited()) == 1


def test_a_key_without_the_scope_changes_nothing(
    key_with: Callable[..., Api], milvus: MilvusClient, of: str
) -> None:
    assert key_with("GetCluster").post(f"{of}/databases", name="films").code == "PERMISSION_DENIED"
    assert "films" not in milvus.list_databases()
