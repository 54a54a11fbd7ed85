"""A full Milvus that is attached, through the API: backed up, verified, lost and brought back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups import connections
from backups.archive.description import LoadStatus
from backups.milvus.client import Client, MilvusAddress
from backups.milvus.errors import NotPermitted
from backups.milvus.schema import describe
from clusters.models import Cluster
from tests.api.client import Api
from tests.api.fixtures import api, key_with, stranger
from tests.clusters.attached.drivers import driver, machine
from tests.drivers.launched import wait_for
from tests.full_milvus.access import PASSWORD, READING, Accounts, accounts_of
from tests.full_milvus.collections import KEYS, ROWS, content, make_keyed, make_wide
from tests.full_milvus.conftest import CREDENTIAL, Work, address
from tests.milvus.rooms import unused_name

__all__ = ["api", "driver", "key_with", "machine", "stranger"]
pytestmark = pytest.mark.timeout(600)
Job = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def store(tmp_path: Any, settings: Any) -> Iterator[None]:
    settings.BACKUP_STORE = str(tmp_path / "store")
    settings.LEASE_SECONDS = 60
    connections.get_store.cache_clear()
    yield
    connections.get_store.cache_clear()


@pytest.fixture
def attach(api: Api, port: int, work: Work, transactional_db: None) -> Callable[..., str]:
    """Attach the full Milvus. Returns the address of its backups."""

    def attach(token: str = CREDENTIAL, name: str = "elsewhere") -> str:
        body = {"name": name, "endpoint": "127.0.0.1", "port": port, "token": token}
        said = api.post("/clusters/attach", **body)
        assert said.status == 200, said.body
        work()
        cluster = api.get(f"/{said['cluster']['serviceId']}")["service"]
        assert cluster["serviceStatus"] == "RUNNING", cluster["statusMessage"]
        return f"/{cluster['serviceId']}/backup"

    return attach


@pytest.fixture
def job(api: Api, work: Work) -> Job:
    """Send a request that starts a job. Returns the job, which has ended."""

    def job(path: str, **body: Any) -> dict[str, Any]:
        said = api.post(path, **body)
        assert said.status == 200, said.body
        work()
        return api.get(f"/jobs/{said.header('Operation-Id')}")["job"]  # type: ignore[no-any-return]

    return job


def succeeded(job: dict[str, Any]) -> dict[str, Any]:
    assert job["status"] == "SUCCEEDED", job["message"]
    return job


def test_it_is_attached_backed_up_verified_lost_and_brought_back(
    attach: Callable[..., str],
    job: Job,
    tenant: MilvusClient,
    milvus: Client,
    make_database: Callable[[], str],
    port: int,
) -> None:
    wide, keyed = make_wide(tenant, unused_name()), make_keyed(tenant, unused_name())
    other = make_database()
    with (
        Client(address(port, database=other)) as elsewhere,
        _client(port, CREDENTIAL, other) as other_tenant,
    ):
        alone = make_keyed(other_tenant, "alone")
        other_tenant.load_collection(alone)
        before = [content(milvus, wide), describe(milvus, keyed), content(elsewhere, alone)]
        backups = attach()
        first = succeeded(
            job(backups, dbName=milvus.endpoint.database, collectionNames=[wide, keyed])
        )
        second = succeeded(job(backups, dbName=other, collectionNames=[alone]))
        assert (first["rowCount"], second["rowCount"]) == (len(KEYS) + ROWS, ROWS)
        for taken in (first, second):
            succeeded(job(f"{backups}/{taken['backupName']}/verify"))
        for name, client in ((wide, milvus), (keyed, milvus), (alone, elsewhere)):
            for alias in client.aliases(name):
                client.drop_alias(alias)
            client.drop(name)
        elsewhere.drop_database(other)
        for taken in (first, second):
            succeeded(job(f"{backups}/restore", backupName=taken["backupName"]))
        after = [content(milvus, wide), describe(milvus, keyed), content(elsewhere, alone)]
    assert after == before
    assert describe(milvus, keyed).load.status is LoadStatus.NOT_LOADED
    assert [name for name in milvus.collections() if name.startswith("_vbase_")] == []


def test_a_user_that_may_only_read_can_back_up_and_cannot_restore(
    attach: Callable[..., str], job: Job, tenant: MilvusClient, milvus: Client
) -> None:
    name = make_wide(tenant, unused_name())
    before = content(milvus, name)
    with accounts_of(tenant) as accounts:
        user = _reader(accounts, milvus.endpoint, name)
        backups = attach(token=f"{user}:{PASSWORD}")
        taken = succeeded(job(backups, dbName=milvus.endpoint.database, collectionNames=[name]))
        assert taken["rowCount"] == len(KEYS)
        assert any("its load state is unknown" in text for text in taken["warnings"])
        how = {"onConflict": "RENAME", "suffix": "_b"}
        failed = job(f"{backups}/restore", backupName=taken["backupName"], **how)
        assert failed["status"] == "FAILED"
        assert "does not permit this call" in failed["message"]
    assert content(milvus, name) == before
    assert [each for each in milvus.collections() if each.endswith("_b")] == []


def test_a_user_without_rights_is_told_which_call_is_not_permitted(
    api: Api, attach: Callable[..., str], tenant: MilvusClient, milvus: Client
) -> None:
    with accounts_of(tenant) as accounts:
        backups = attach(token=f"{accounts.user()}:{PASSWORD}")
        asked = {"dbName": milvus.endpoint.database, "collectionNames": ["any"]}
        refused = api.post(backups, **asked)
    assert refused.code == "FAILED_PRECONDITION"
    assert "does not permit this call" in refused["response"]["message"]


def test_an_embedded_cluster_moves_to_a_full_milvus_and_back(
    attach: Callable[..., str],
    job: Job,
    make_cluster: Callable[..., Cluster],
    milvus: Client,
    port: int,
) -> None:
    own = make_cluster("own")
    with _client(own.port, own.token, "default", host=own.host) as tenant:
        name = make_keyed(tenant, unused_name())
        tenant.load_collection(name)
        tenant.create_alias(name, f"{name}_alias")
        with connections.connect(own, "default") as source:
            before = content(source, name)
            taken = succeeded(job(f"/{own.service_id}/backup", collectionNames=[name]))
            backups = attach()
            there = {"backupName": taken["backupName"], "dbName": milvus.endpoint.database}
            moved = succeeded(job(f"{backups}/restore", **there))
            assert moved["rowCount"] == ROWS
            description, rows = content(milvus, name)
            assert rows == before[1]
            assert (description.aliases, description.load.status) == (
                (f"{name}_alias",),
                LoadStatus.LOADED,
            )
            back = succeeded(job(backups, dbName=milvus.endpoint.database, collectionNames=[name]))
            here = {"backupName": back["backupName"], "dbName": "default"}
            asked = {"onConflict": "REPLACE", "serviceId": own.service_id}
            succeeded(job(f"/{own.service_id}/backup/restore", **here, **asked))
            assert content(source, name)[1] == rows


def test_types_that_an_embedded_cluster_lacks_are_refused_before_a_change(
    attach: Callable[..., str],
    api: Api,
    job: Job,
    make_cluster: Callable[..., Cluster],
    tenant: MilvusClient,
    milvus: Client,
) -> None:
    own = make_cluster("own")
    name = make_wide(tenant, unused_name())
    backups = attach()
    taken = succeeded(job(backups, dbName=milvus.endpoint.database, collectionNames=[name]))
    asked = {"backupName": taken["backupName"], "dbName": "default"}
    refused = api.post(f"/{own.service_id}/backup/restore", **asked)
    assert refused.code == "FAILED_PRECONDITION"
    assert "'bits' has the type BINARY_VECTOR" in refused["response"]["message"]


def _reader(accounts: Accounts, endpoint: MilvusAddress, collection: str) -> str:
    """Create a user that may only read. The server applies each grant some time later."""
    user = accounts.user(accounts.role(*READING))
    own = dataclasses.replace(endpoint, credential=f"{user}:{PASSWORD}")
    with Client(own) as client:
        wait_for(lambda: _may_read(client, collection), 60)
    return user


def _may_read(client: Client, collection: str) -> bool:
    try:
        client.databases()
        client.collections()
        client.describe(collection)
        client.aliases(collection)
        client.partitions(collection)
        client.indexes(collection)
        client.count(collection)
    except NotPermitted:
        return False
    return True


def _client(port: int, token: str, database: str, host: str = "127.0.0.1") -> closing[MilvusClient]:
    return closing(MilvusClient(f"http://{host}:{port}", token=token, db_name=database))
