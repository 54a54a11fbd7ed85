"""A backup through the API, on a real Milvus: taken, looked at, restored, verified, deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from backups.models import Backup
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.api.client import Api, Said
from tests.backups.conftest import cluster, driver, fill, machine, milvus, store
from tests.backups.elsewhere import with_roles

__all__ = ["cluster", "driver", "machine", "milvus", "store"]
Work = Callable[[], int]


@pytest.fixture
def taken(api: Api, of: str, milvus: MilvusClient, work: Work) -> str:
    """The name of a backup of 300 rows."""
    fill(milvus, rows=300)
    said = api.post(of, collectionNames=["images"])
    work()
    return str(said["job"]["backupName"])


def ended(api: Api, said: Said) -> tuple[str, int]:
    job = api.get(f"/jobs/{said.header('Operation-Id')}")["job"]
    return job["status"], job["progress"]


def titles(milvus: MilvusClient, name: str = "images") -> list[str]:
    rows = milvus.query(name, filter="id >= 0", output_fields=["title"], limit=1000)
    return sorted(row["title"] for row in rows)


def test_it_is_taken_restored_verified_and_deleted(
    api: Api, of: str, cluster: Cluster, milvus: MilvusClient, work: Work, store: LocalStore
) -> None:
    fill(milvus, rows=300)
    before = titles(milvus)
    name = _is_taken(api, of, work)
    milvus.drop_collection("images")
    _is_looked_at_without_a_change(api, of, name, milvus)
    _is_restored(api, of, name, work)
    assert titles(milvus) == before
    _is_verified(api, of, name, work)
    _is_deleted(api, of, name, work, store)


def _is_taken(api: Api, of: str, work: Work) -> str:
    said = api.post(of, collection_names=["images"], backup_name="life")
    assert (said["job"]["status"], said["job"]["backupName"]) == ("PENDING", "life")
    assert api.get(f"{of}/life")["backup"]["status"] == "CREATING"
    work()
    assert ended(api, said) == ("SUCCEEDED", 100)
    backup = api.get(f"{of}/life")["backup"]
    (images,) = backup["collections"]
    assert (images["name"], images["rowCount"], backup["rowCount"]) == ("images", 300, 300)
    return "life"


def _is_looked_at_without_a_change(api: Api, of: str, name: str, milvus: MilvusClient) -> None:
    said = api.post(f"{of}/restore", backupName=name, dryRun=True)
    assert set(said.body) == {"preflight", "response"}
    assert (said["preflight"]["isClear"], said["preflight"]["waitsFor"]) == (True, [])
    assert said["preflight"]["proves"]
    assert 0 < said["preflight"]["requiredBytes"] < said["preflight"]["freeBytes"]
    (step,) = said["preflight"]["collections"]
    assert (step["collectionName"], step["targetName"], step["rowCount"]) == (
        *("images", "images"),
        300,
    )
    assert milvus.list_collections() == []


def _is_restored(api: Api, of: str, name: str, work: Work) -> None:
    said = api.post(f"{of}/restore", backupName=name)
    assert (said["job"]["jobType"], said["job"]["rowCount"]) == ("RESTORE", 300)
    work()
    assert ended(api, said) == ("SUCCEEDED", 100)
    assert api.get(f"{of}/{name}")["backup"]["provenAt"] is not None


def _is_verified(api: Api, of: str, name: str, work: Work) -> None:
    assert api.get(f"{of}/{name}")["backup"]["verifiedAt"] is None
    said = api.post(f"{of}/{name}/verify")
    work()
    assert ended(api, said) == ("SUCCEEDED", 100)
    assert api.get(f"{of}/{name}")["backup"]["verifiedAt"] is not None


def _is_deleted(api: Api, of: str, name: str, work: Work, store: LocalStore) -> None:
    location = api.get(f"{of}/{name}")["backup"]["location"]
    said = api.delete(f"{of}/{name}")
    work()
    assert ended(api, said) == ("SUCCEEDED", 100)
    assert api.get(f"{of}/{name}").status == 404
    assert list(store.list(location)) == []
    assert all(job["backupDeletedAt"] for job in api.get(of)["jobs"])


def test_a_name_in_the_way_is_shown_and_refused(api: Api, of: str, taken: str) -> None:
    looked = api.post(f"{of}/restore", backupName=taken, dryRun=True)["preflight"]
    assert not looked["isClear"]
    assert "'images' already exists" in looked["conflicts"][0]
    said = api.post(f"{of}/restore", backupName=taken)
    assert (said.code, Backup.objects.count()) == ("ALREADY_EXISTS", 1)
    assert "'images'" in said.body["response"]["message"]


def test_users_and_roles_of_a_server_without_any_are_a_warning(
    api: Api, of: str, milvus: MilvusClient, work: Work
) -> None:
    fill(milvus, rows=3)
    said = api.post(of, collectionNames=["images"], includeAccessControl=True)
    work()
    job = api.get(f"/jobs/{said.header('Operation-Id')}")["job"]
    assert job["status"] == "SUCCEEDED"
    assert "This server has no users and roles, so the backup contains none." in job["warnings"]
    assert not api.get(f"{of}/{job['backupName']}")["backup"]["hasAccessControl"]


def test_the_dry_run_says_that_there_are_no_roles_to_restore(api: Api, of: str, taken: str) -> None:
    asked = {"backupName": taken, "restoreAccessControl": True, "dryRun": True}
    preflight = api.post(f"{of}/restore", **asked)["preflight"]
    assert "The backup contains no users and roles to restore." in preflight["warnings"]


def test_the_dry_run_says_that_the_server_has_no_roles(api: Api, of: str, taken: str) -> None:
    with_roles(Backup.objects.get())
    asked = {"backupName": taken, "restoreAccessControl": True, "dryRun": True}
    preflight = api.post(f"{of}/restore", **asked)["preflight"]
    (warning,) = [text for text in preflight["warnings"] if "users and roles" in text]
    assert warning.endswith("has no users and roles, so those of the backup are not restored.")


def test_rows_are_restored_even_if_the_server_has_no_roles(
    api: Api, of: str, taken: str, work: Work
) -> None:
    with_roles(Backup.objects.get())
    asked = {"backupName": taken, "restoreAccessControl": True, "onConflict": "REPLACE"}
    said = api.post(f"{of}/restore", **asked)
    work()
    assert ended(api, said) == ("SUCCEEDED", 100)


def test_what_it_would_wait_for_is_shown(api: Api, of: str, taken: str, cluster: Cluster) -> None:
    restart = api.post(f"/clusters/{cluster.cluster_id}/restart").header("Operation-Id")
    said = api.post(f"{of}/restore", backupName=taken, dryRun=True)
    assert said["preflight"]["waitsFor"] == [{"operationId": restart, "kind": "RESTART"}]


@pytest.mark.parametrize(
    ("how", "name"),
    [({"onConflict": "RENAME", "suffix": "_b"}, "images_b"), ({"onConflict": "REPLACE"}, "images")],
)
def test_a_name_in_the_way_is_evaded_or_replaced(
    api: Api, of: str, taken: str, milvus: MilvusClient, work: Work, how: dict[str, str], name: str
) -> None:
    milvus.delete("images", filter="id < 10")
    said = api.post(f"{of}/restore", backupName=taken, collectionNames=[], dbName="", **how)
    work()
    assert ended(api, said) == ("SUCCEEDED", 100)
    assert len(titles(milvus, name)) == 300


def test_it_is_restored_into_another_service_and_database(
    api: Api, taken: str, make_cluster: Callable[..., Cluster], work: Work
) -> None:
    other = make_cluster("other")
    path = f"/{other.service_id}/backup/restore"
    said = api.post(path, backupName=taken, dbName="archive", collectionNames=["images"])
    assert (said["job"]["serviceId"], said["job"]["dbName"]) == (other.service_id, "archive")
    work()
    address = f"http://{other.host}:{other.port}"
    client = MilvusClient(address, token=other.token, db_name="archive")
    assert len(titles(client)) == 300
    client.close()


def test_unknown_databases_and_collections_are_named(api: Api, of: str) -> None:
    said = api.post(of, collectionNames=["nobody"])
    assert (said.code, "nobody" in said.body["response"]["message"]) == ("NOT_FOUND", True)
    said = api.post(of, collectionNames=["nobody"], dbName="nowhere")
    assert (said.code, "nowhere" in said.body["response"]["message"]) == ("NOT_FOUND", True)
    assert not Backup.objects.exists()


def test_what_the_engine_makes_and_other_servers_do_not_can_be_backed_up(
    api: Api, of: str, milvus: MilvusClient, work: Work
) -> None:
    milvus.create_database("sales of 2026")
    milvus.use_database("sales of 2026")
    fill(milvus, "año-nuevo", rows=3)
    said = api.post(of, collectionNames=["año-nuevo"], dbName="sales of 2026")
    work()
    assert ended(api, said) == ("SUCCEEDED", 100)


def test_a_name_that_would_be_too_long_is_shown_and_refused(
    api: Api, of: str, milvus: MilvusClient, work: Work
) -> None:
    fill(milvus, "n" * 250, rows=3)
    api.post(of, collectionNames=["n" * 250], backupName="long")
    work()
    how = {"backupName": "long", "onConflict": "RENAME", "suffix": "_again"}
    looked = api.post(f"{of}/restore", dryRun=True, **how)["preflight"]
    assert "is longer than 255 bytes. Choose a shorter suffix" in looked["conflicts"][0]
    assert api.post(f"{of}/restore", **how).code == "ALREADY_EXISTS"


def test_a_collection_that_the_backup_lacks_is_named(api: Api, of: str, taken: str) -> None:
    said = api.post(f"{of}/restore", backupName=taken, collectionNames=["images", "texts"])
    assert (said.code, "texts" in said.body["response"]["message"]) == ("NOT_FOUND", True)


def test_a_damaged_archive_fails_the_verification_that_names_the_file(
    api: Api, of: str, taken: str, work: Work, store: LocalStore
) -> None:
    directory = api.get(f"{of}/{taken}")["backup"]["location"]
    (part,) = [e.key for e in store.list(directory) if e.key.endswith(".parquet")]
    path = Path(store.root, part)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    said = api.post(f"{of}/{taken}/verify")
    work()
    job = api.get(f"/jobs/{said.header('Operation-Id')}")["job"]
    assert (job["status"], part.rpartition("/")[2] in job["message"]) == ("FAILED", True)


def test_a_repeated_request_is_answered_without_asking_the_cluster_again(
    api: Api, of: str, taken: str, milvus: MilvusClient, work: Work
) -> None:
    """Were it asked again, the collection that the first request restored would be in the way."""
    milvus.drop_collection("images")
    body = {"backupName": taken}
    first = api.send("POST", f"{of}/restore", body=body, Idempotency_Key="once")
    work()
    again = api.send("POST", f"{of}/restore", body=body, Idempotency_Key="once")
    assert again["job"] == first["job"]
    assert api.get(of, jobType="RESTORE")["total"] == 1


def test_a_policy_is_for_a_database_that_is_there(api: Api, of: str, milvus: MilvusClient) -> None:
    wish = {"scheduleCron": "@daily", "retentionCount": 1, "dbName": "sales"}
    said = api.post(f"{of}/policy", **wish)
    assert (said.code, "'sales'" in said["response"]["message"]) == ("NOT_FOUND", True)
    milvus.create_database("sales")
    assert api.post(f"{of}/policy", **wish)["policy"]["dbName"] == "sales"
