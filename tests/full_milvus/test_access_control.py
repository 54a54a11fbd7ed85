"""Users, roles and grants in backups and restores of a full Milvus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from backups import connections
from backups.archive.access_control import AccessControl, RoleDescription
from backups.milvus import access_control
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from backups.models import Backup, BackupJob
from backups.services.restores import plan_restore, preview_restore
from clusters.models import Cluster
from tests.backups.interruption import Dead, taken_over
from tests.full_milvus.access import Accounts, accounts_of
from tests.full_milvus.conftest import BackUp, Restore
from tests.milvus.rooms import unused_name
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def accounts(tenant: MilvusClient) -> Iterator[Accounts]:
    with accounts_of(tenant) as accounts:
        yield accounts


@pytest.fixture(scope="module")
def docs(tenant: MilvusClient) -> str:
    """A small collection that is loaded."""
    name, schema = unused_name(), tenant.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("bits", DataType.BINARY_VECTOR, dim=8)
    parameters = tenant.prepare_index_params()
    parameters.add_index("bits", index_type="BIN_FLAT", metric_type="HAMMING")
    tenant.create_collection(name, schema=schema, index_params=parameters)
    tenant.insert(name, [{"id": 1, "bits": b"\1"}])
    return name


def held_by(backup: Backup) -> AccessControl:
    found = connections.open_archive(backup).manifest.access_control
    assert found is not None
    return found


def role_in(found: AccessControl, name: str) -> RoleDescription:
    (role,) = [role for role in found.roles if role.name == name]
    return role


def with_roles(back_up: BackUp, docs: str) -> BackupJob:
    job = back_up(docs, include_access_control=True)
    assert job.task.state == "SUCCEEDED", job.task.message
    return job


def test_a_backup_holds_names_of_users_and_their_roles_with_grants(
    accounts: Accounts, back_up: BackUp, docs: str, database: str
) -> None:
    role = accounts.role(("Collection", "Query", docs), ("Global", "ShowCollections", "*"))
    user = accounts.user(role)
    backup = with_roles(back_up, docs).backup
    found = held_by(backup)
    assert {user, "root"} <= set(found.users)
    assert role_in(found, role).members == (user,)
    assert [
        (each.object_type, each.object_name, each.database, each.privilege)
        for each in role_in(found, role).grants
    ] == [("Collection", docs, database, "Query"), ("Global", "*", database, "ShowCollections")]
    assert backup.has_access_control


def test_grants_of_every_database_are_held(
    accounts: Accounts, back_up: BackUp, docs: str, make_database: Any, port: int
) -> None:
    other = make_database()
    role = accounts.role()
    accounts.client.grant_privilege(role, "Collection", "Search", "elsewhere", db_name=other)
    found = role_in(held_by(with_roles(back_up, docs).backup), role)
    assert [(each.object_name, each.database) for each in found.grants] == [("elsewhere", other)]


def test_a_backup_holds_none_unless_they_are_requested(back_up: BackUp, docs: str) -> None:
    backup = back_up(docs).backup
    assert connections.open_archive(backup).manifest.access_control is None
    assert not backup.has_access_control


def test_a_restore_brings_back_a_role_with_its_grants_and_without_members(
    accounts: Accounts, back_up: BackUp, restore: Restore, milvus: Client, docs: str
) -> None:
    role = accounts.role(("Collection", "Query", docs), ("Collection", "Insert", "*"))
    user = accounts.user(role)
    backup = with_roles(back_up, docs).backup
    before = role_in(held_by(backup), role)
    accounts.client.revoke_role(user, role)
    accounts.remove_role(role)
    task = restore(backup, on_conflict="REPLACE", restore_access_control=True)
    assert task.state == "SUCCEEDED", task.message
    found = access_control.read_access_control(milvus)
    assert found is not None
    assert role_in(found, role).grants == before.grants
    assert role_in(found, role).members == ()
    assert any(f"Role '{role}' has the members {user}" in text for text in task.warnings)


def test_an_existing_role_is_kept_and_its_difference_is_a_warning(
    accounts: Accounts, back_up: BackUp, restore: Restore, milvus: Client, docs: str
) -> None:
    role = accounts.role(("Collection", "Query", docs))
    backup = with_roles(back_up, docs).backup
    accounts.client.revoke_privilege(role, "Collection", "Query", docs)
    task = restore(backup, on_conflict="REPLACE", restore_access_control=True)
    found = access_control.read_access_control(milvus)
    assert found is not None
    assert role_in(found, role).grants == ()
    assert any(f"Role '{role}' exists and keeps its grants" in text for text in task.warnings)


def test_a_restore_changes_no_role_unless_it_is_requested(
    accounts: Accounts, back_up: BackUp, restore: Restore, docs: str
) -> None:
    role = accounts.role()
    backup = with_roles(back_up, docs).backup
    accounts.remove_role(role)
    restore(backup, on_conflict="REPLACE")
    assert role not in accounts.client.list_roles()


def test_the_preflight_names_what_is_created(
    accounts: Accounts, back_up: BackUp, cluster: Cluster, docs: str
) -> None:
    role = accounts.role(("Collection", "Query", docs))
    backup = with_roles(back_up, docs).backup
    accounts.remove_role(role)
    result = preview_restore(backup, cluster, on_conflict="REPLACE", restore_access_control=True)
    assert any(
        text.startswith(f"Role '{role}' is created with Query on Collection {docs}")
        for text in result.notes
    )
    assert role not in accounts.client.list_roles()


def test_a_role_with_members_gets_no_grants(
    accounts: Accounts,
    back_up: BackUp,
    cluster: Cluster,
    milvus: Client,
    docs: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An administrator gave the role to a user after the restore had created it."""
    role = accounts.role(("Collection", "Query", docs))
    user = accounts.user()
    backup = with_roles(back_up, docs).backup
    accounts.remove_role(role)
    find_members = access_control.members_of

    def add_and_find(client: Client, name: str) -> list[str]:
        accounts.client.grant_role(user, name)
        return find_members(client, name)

    monkeypatch.setattr(access_control, "members_of", add_and_find)
    task = _restored(backup, cluster)
    found = access_control.read_access_control(milvus)
    assert found is not None
    assert role_in(found, role).grants == ()
    assert any(f"Role '{role}' got no grants, because it has members" in w for w in task.warnings)


def test_a_role_that_was_created_during_the_restore_is_kept(
    accounts: Accounts,
    back_up: BackUp,
    cluster: Cluster,
    milvus: Client,
    docs: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    role = accounts.role(("Collection", "Query", docs))
    backup = with_roles(back_up, docs).backup
    accounts.remove_role(role)
    create = access_control.create_role

    def another_client_is_first(client: Client, name: str) -> bool:
        accounts.client.create_role(name)
        return create(client, name)

    monkeypatch.setattr(access_control, "create_role", another_client_is_first)
    task = _restored(backup, cluster)
    found = access_control.read_access_control(milvus)
    assert found is not None
    assert role_in(found, role).grants == ()
    assert any(f"Role '{role}' was created during the restore" in text for text in task.warnings)


@pytest.mark.parametrize(
    "step",
    [
        "grant",
        *(pytest.param(step, marks=pytest.mark.torture) for step in ("create_role", "members_of")),
    ],
)
def test_a_worker_that_dies_at_a_step_is_continued(
    step: str,
    accounts: Accounts,
    back_up: BackUp,
    cluster: Cluster,
    milvus: Client,
    docs: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    roles = [accounts.role(("Collection", "Query", docs)) for _ in range(2)]
    backup = with_roles(back_up, docs).backup
    for role in roles:
        accounts.remove_role(role)
    job = _requested(backup, cluster)
    calls: list[Any] = []
    original = getattr(access_control, step)

    def die_at_the_second(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise Dead
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(access_control, step, die_at_the_second)
        with pytest.raises(Dead):
            run_task(job.task.task_id)
    assert taken_over(job.task).state == "SUCCEEDED"
    found = access_control.read_access_control(milvus)
    assert found is not None
    assert [len(role_in(found, role).grants) for role in roles] == [1, 1]


def test_a_grant_that_the_server_refuses_is_a_warning(
    accounts: Accounts,
    back_up: BackUp,
    cluster: Cluster,
    docs: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    role = accounts.role(("Collection", "Query", docs))
    backup = with_roles(back_up, docs).backup
    accounts.remove_role(role)

    def refuse(*_: Any) -> None:
        raise MilvusError("not found the privilege name", permanent=True)

    monkeypatch.setattr(access_control, "grant", refuse)
    task = _restored(backup, cluster)
    assert task.state == "SUCCEEDED"
    assert any(
        f"Role '{role}' did not get Query on Collection {docs}" in text for text in task.warnings
    )


def test_a_credential_that_may_not_list_them_fails_with_the_remedy(
    back_up: BackUp, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(client: Client) -> None:
        raise MilvusError("permission deny to rita", permanent=True)

    monkeypatch.setattr("backups.capture.access_control.read_access_control", deny)
    task = back_up(docs, include_access_control=True).task
    assert task.state == "FAILED"
    assert "permission deny to rita Use a token that may list users and roles" in task.message


def _requested(backup: Backup, cluster: Cluster) -> BackupJob:
    planned = plan_restore(backup, cluster, on_conflict="REPLACE", restore_access_control=True)
    return planned.submit(by="alice")


def _restored(backup: Backup, cluster: Cluster) -> Task:
    job = _requested(backup, cluster)
    run_task(job.task.task_id)
    return Task.objects.get(pk=job.pk)
