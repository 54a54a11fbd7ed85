"""Policies through the API: what is asked for, what is answered, and who may."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from backups import discovery
from backups.models import Backup
from backups.policies import services
from backups.policies.models import BackupPolicy
from clusters.models import Cluster
from tests.api.client import Api, Said
from vbase_console.core.errors import NotFound, Unavailable
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import (
    CREATE_BACKUP_POLICY,
    DELETE_BACKUP_POLICY,
    LIST_BACKUPS,
    UPDATE_BACKUP_POLICY,
)

FIELDS = {
    *("policyId", "serviceId", "organizationId", "name", "description", "scheduleCron"),
    *("timezone", "retentionCount", "isActive", "dbName", "collectionNames", "onMissing"),
    "includeAccessControl",
    *("nextRunAt", "lastRunAt", "lastStatus", "createdAt", "updatedAt"),
}
LEAST = {"scheduleCron": "30 3 * * *", "retentionCount": 3}
ALL = LEAST | {
    "name": "nightly",
    "description": "For the auditors.",
    "timezone": "Europe/Berlin",
    "isActive": False,
    "dbName": "default",
    "collectionNames": ["images", "texts"],
    "onMissing": "WARN",
    "includeAccessControl": True,
}


@pytest.fixture
def policies(of: str) -> str:
    return f"{of}/policy"


@pytest.fixture
def one(api: Api, policies: str) -> str:
    """The address of a policy."""
    return f"{policies}/{api.post(policies, **LEAST)['policy']['policyId']}"


# -- create ----------------------------------------------------------------------------------------


def test_it_answers_the_policy_and_says_where_it_is(api: Api, policies: str) -> None:
    said = api.post(policies, **LEAST)
    policy = said["policy"]
    assert set(policy) == FIELDS
    assert said.header("Location") == f"/v1/vbase{policies}/{policy['policyId']}"
    assert said.header("Operation-Id") is None
    assert api.get(str(said.header("Location")))["policy"] == policy


def test_a_taken_name_is_already_exists(api: Api, policies: str, one: str) -> None:
    api.post(policies, **LEAST, name="nightly")
    for said in (api.post(policies, **LEAST, name="nightly"), api.post(one, name="nightly")):
        assert (said.status, said["response"]["code"]) == (409, "ALREADY_EXISTS")


@pytest.mark.parametrize(("field", "length"), [("name", 64), ("description", 501)])
def test_names_and_descriptions_have_a_longest(
    api: Api, policies: str, one: str, field: str, length: int
) -> None:
    for said in (
        api.post(policies, **LEAST, **{field: "n" * length}),
        api.post(one, **{field: "n" * length}),
    ):
        assert (said.status, list(said["response"]["fieldErrors"])) == (400, [field])


def test_what_is_left_out_has_a_default(api: Api, policies: str, cluster: Cluster) -> None:
    policy = api.post(policies, **LEAST)["policy"]
    shown = {name: policy[name] for name in ("timezone", "isActive", "dbName", "collectionNames")}
    assert list(shown.values()) == ["UTC", True, "default", []]
    assert (policy["name"], policy["description"]) == ("At 03:30 every day", "")
    assert (policy["onMissing"], policy["serviceId"]) == ("FAIL", cluster.service_id)
    assert policy["nextRunAt"].endswith("T03:30:00Z")
    assert (policy["lastRunAt"], policy["lastStatus"]) == (None, None)


@pytest.mark.parametrize("nothing", ["", None])
def test_what_is_empty_is_left_out(api: Api, policies: str, nothing: str | None) -> None:
    policy = api.post(policies, **LEAST, dbName=nothing, timezone=nothing)["policy"]
    assert (policy["dbName"], policy["timezone"]) == ("default", "UTC")


def test_everything_can_be_said_at_once(api: Api, policies: str) -> None:
    policy = api.post(policies, **ALL)["policy"]
    assert {name: policy[name] for name in ALL} == ALL
    assert policy["nextRunAt"] is None


@pytest.mark.parametrize("name", ["my-docs", "日本", "1st", "a name", ".dots.", "n" * 255])
def test_a_policy_takes_every_name_that_a_backup_takes(api: Api, policies: str, name: str) -> None:
    policy = api.post(policies, **LEAST, dbName="my-db.x", collectionNames=[name])["policy"]
    assert (policy["dbName"], policy["collectionNames"]) == ("my-db.x", [name])


def test_a_policy_of_three_thousand_collections_is_taken(api: Api, policies: str) -> None:
    names = [f"c{number:04}" for number in range(3_000)]
    policy = api.post(policies, **LEAST, collectionNames=names)["policy"]
    assert policy["collectionNames"] == names


def test_both_spellings_are_taken(api: Api, policies: str) -> None:
    said = api.post(policies, schedule_cron="@daily", retention_count=1, on_missing="WARN")
    assert (said["policy"]["scheduleCron"], said["policy"]["onMissing"]) == ("@daily", "WARN")


def test_a_service_may_have_several_alike(api: Api, policies: str) -> None:
    assert [api.post(policies, **LEAST).status for _ in range(2)] == [200, 200]
    assert api.get(policies)["total"] == 2


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"scheduleCron": "nonsense"}, "scheduleCron"),
    ({"scheduleCron": ""}, "scheduleCron"),
    ({"scheduleCron": "* * * * * *"}, "scheduleCron"),
    ({"scheduleCron": "0 0 30 2 *"}, "scheduleCron"),
    ({"scheduleCron": "@reboot"}, "scheduleCron"),
    ({"scheduleCron": "0 0 L * *"}, "scheduleCron"),
    ({"scheduleCron": "0 3 * * *\x00"}, "scheduleCron"),
    ({"scheduleCron": "0" + 300 * " " + "3 * * *"}, "scheduleCron"),
    ({"scheduleCron": "0 3 * * *" + 200 * " "}, "scheduleCron"),
    ({"scheduleCron": "@HOURLY"}, "scheduleCron"),
    ({"scheduleCron": 5}, "scheduleCron"),
    ({"timezone": "Mars/Base"}, "timezone"),
    ({"timezone": "../../etc/passwd"}, "timezone"),
    ({"timezone": "localtime"}, "timezone"),
    ({"timezone": "right/Europe/Berlin"}, "timezone"),
    ({"timezone": 1}, "timezone"),
    ({"retentionCount": 0}, "retentionCount"),
    ({"retentionCount": 1001}, "retentionCount"),
    ({"retentionCount": 10**40}, "retentionCount"),
    ({"retentionCount": "3"}, "retentionCount"),
    ({"retentionCount": 1.5}, "retentionCount"),
    ({"retentionCount": True}, "retentionCount"),
    ({"isActive": "yes"}, "isActive"),
    ({"dbName": "no/name"}, "dbName"),
    ({"dbName": "no name "}, "dbName"),
    ({"dbName": ".."}, "dbName"),
    ({"dbName": "日本"}, "dbName"),
    ({"collectionNames": ["../c"]}, "collectionNames"),
    ({"collectionNames": ["日" * 86]}, "collectionNames"),
    ({"dbName": "d\x00b"}, "dbName"),
    ({"dbName": "d" * 256}, "dbName"),
    ({"collectionNames": "images"}, "collectionNames"),
    ({"collectionNames": ["_vbase_x"]}, "collectionNames"),
    ({"collectionNames": ["images", 5]}, "collectionNames.1"),
    ({"collectionNames": [f"c{number}" for number in range(10_001)]}, "collectionNames"),
    ({"onMissing": "PANIC"}, "onMissing"),
    ({"serviceId": "svc-other"}, "serviceId"),
    ({"policyId": "pol-mine"}, "policyId"),
    ({"nextRunAt": "2026-01-01T00:00:00Z"}, "nextRunAt"),
]
WRONG_ID = [f"{field}-{number}" for number, (_, field) in enumerate(WRONG)]


@pytest.mark.parametrize(("body", "field"), WRONG, ids=WRONG_ID)
def test_what_is_wrong_is_named(api: Api, policies: str, body: dict[str, Any], field: str) -> None:
    said = api.post(policies, **LEAST | body)
    assert (said.code, said.status, [field]) == ("INVALID_ARGUMENT", 400, list(said.field_errors))
    assert not BackupPolicy.objects.exists()


def test_everything_that_is_wrong_is_named_at_once(api: Api, policies: str) -> None:
    said = api.post(policies, scheduleCron="x", timezone="y", retentionCount=0, dbName="a/b")
    assert set(said.field_errors) == {"scheduleCron", "timezone", "retentionCount", "dbName"}


@pytest.mark.parametrize("name", LEAST)
def test_what_is_needed_is_asked_for(api: Api, policies: str, name: str) -> None:
    said = api.post(policies, **{key: value for key, value in LEAST.items() if key != name})
    assert list(said.field_errors) == [name]


def test_another_organization_in_the_body_is_not_found(api: Api, policies: str) -> None:
    assert api.post(policies, **LEAST, organizationId="another").code == "NOT_FOUND"


def test_a_deleted_cluster_takes_no_policy(api: Api, policies: str) -> None:
    Cluster.objects.update(status="DELETED")
    assert api.post(policies, **LEAST).code == "FAILED_PRECONDITION"


def test_a_key_gives_one_policy(api: Api, policies: str) -> None:
    first, again = (api.send("POST", policies, body=LEAST, Idempotency_Key="k") for _ in range(2))
    assert first["policy"] == again["policy"]
    assert (again.header("Idempotency-Replayed"), BackupPolicy.objects.count()) == ("true", 1)


# -- the database ----------------------------------------------------------------------------------


class Server:
    """Answers of a running cluster to a request for a database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.asked: list[str] = []
        monkeypatch.setattr(services, "require_database", self._ask)

    def _ask(self, cluster: Cluster, database: str) -> None:
        self.asked.append(database)
        if self.error is not None:
            raise self.error


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def test_all_that_is_wrong_is_said_before_the_server_is_asked(
    api: Api, policies: str, server: Server
) -> None:
    server.error = NotFound("There is no database 'sales', only default.")
    wrong = {
        "scheduleCron": "a b",
        "retentionCount": 0,
        "timezone": "Mars",
        "collectionNames": ["_vbase_x"],
        "onMissing": "maybe",
    }
    said = api.post(policies, **wrong, dbName="sales")
    assert set(said.field_errors) == set(wrong)


def test_a_database_that_the_cluster_lacks_is_not_found(
    api: Api, policies: str, one: str, server: Server
) -> None:
    server.error = NotFound("There is no database 'sales', only default.")
    for address in (policies, one):
        said = api.post(address, **LEAST | {"dbName": "sales"})
        assert (said.code, "'sales'" in said["response"]["message"]) == ("NOT_FOUND", True)
    assert BackupPolicy.objects.get().db_name == "default"


def test_a_cluster_that_cannot_be_asked_is_not_waited_for(
    api: Api, policies: str, server: Server
) -> None:
    server.error = Unavailable()
    assert api.post(policies, **LEAST | {"dbName": "sales"})["policy"]["dbName"] == "sales"


def test_the_memory_cluster_has_no_server_to_ask(api: Api, policies: str) -> None:
    assert api.post(policies, **LEAST | {"dbName": "sales"}).status == 200


def test_the_default_database_and_the_present_one_are_not_asked_for(
    api: Api, policies: str, server: Server
) -> None:
    address = api.post(policies, **LEAST, dbName="sales").header("Location")
    api.post(str(address), dbName="sales")
    api.post(policies, **LEAST, dbName="default")
    assert server.asked == ["sales"]


def test_a_cluster_that_does_not_run_is_not_asked(api: Api, policies: str, server: Server) -> None:
    Cluster.objects.update(condition="STOPPED")
    assert api.post(policies, **LEAST, dbName="sales").status == 200
    assert server.asked == []


def test_it_asks_the_server_for_its_databases(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`test_a_backups_life` asks a real one."""
    monkeypatch.setattr(discovery, "connect", _connected_to_one_with_default_alone)
    services.look_for_database(cluster, "default")
    with pytest.raises(NotFound, match="no database 'sales', only default"):
        services.look_for_database(cluster, "sales")


def _connected_to_one_with_default_alone(*_: object) -> Any:
    return contextlib.nullcontext(SimpleNamespace(databases=lambda: ["default"]))


# -- update ----------------------------------------------------------------------------------------

CHANGES: list[dict[str, Any]] = [{name: value} for name, value in ALL.items() if name != "dbName"]


@pytest.mark.parametrize("change", [*CHANGES, ALL, {}, {"dbName": "sales"}], ids=str)
def test_any_of_it_can_be_changed_and_the_rest_stays(
    api: Api, one: str, change: dict[str, Any]
) -> None:
    before = api.get(one)["policy"]
    said = api.post(one, **change)
    after = said["policy"]
    moving = {"updatedAt", "nextRunAt"}
    assert {**before, **change} | {name: after[name] for name in moving} == after
    assert said.header("Location") == f"/v1/vbase{one}"


def test_what_changes_nothing_leaves_no_newer_time(api: Api, one: str) -> None:
    before = api.get(one)["policy"]
    for body in ({}, {"scheduleCron": before["scheduleCron"], "isActive": True}):
        assert api.post(one, **body)["policy"]["updatedAt"] == before["updatedAt"]


def test_an_update_moves_the_next_run(api: Api, one: str) -> None:
    assert api.post(one, scheduleCron="15 4 * * *")["policy"]["nextRunAt"].endswith("T04:15:00Z")
    assert api.post(one, isActive=False)["policy"]["nextRunAt"] is None
    assert api.post(one, isActive=True)["policy"]["nextRunAt"].endswith("T04:15:00Z")


def test_an_empty_list_means_every_collection_again(api: Api, one: str) -> None:
    api.post(one, collectionNames=["images"])
    assert api.post(one, collectionNames=None)["policy"]["collectionNames"] == ["images"]
    assert api.post(one, collectionNames=[])["policy"]["collectionNames"] == []


WRONG_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"scheduleCron": "0 0 30 2 *"}, "scheduleCron"),
    ({"timezone": ""}, "timezone"),
    ({"retentionCount": 1001}, "retentionCount"),
    ({"dbName": ""}, "dbName"),
    ({"collectionNames": ["../1st"]}, "collectionNames"),
    ({"onMissing": "PANIC"}, "onMissing"),
    ({"policyId": "pol-other"}, "policyId"),
    ({"lastRunAt": None}, "lastRunAt"),
]


@pytest.mark.parametrize(("body", "field"), WRONG_CHANGES)
def test_what_is_wrong_in_a_change_is_named_and_changes_nothing(
    api: Api, one: str, body: dict[str, Any], field: str
) -> None:
    before = api.get(one)["policy"]
    said = api.post(one, **{"retentionCount": 9} | body)
    assert (said.code, [field]) == ("INVALID_ARGUMENT", list(said.field_errors))
    assert api.get(one)["policy"] == before


def test_a_body_may_repeat_what_the_address_says(api: Api, one: str, cluster: Cluster) -> None:
    said = api.post(
        one,
        policyId=one.rpartition("/")[2],
        serviceId=cluster.service_id,
        organizationId=str(cluster.organization_id),
    )
    assert said.status == 200


# -- read and delete -------------------------------------------------------------------------------


def ids(said: Said) -> list[str]:
    return [policy["policyId"] for policy in said["policies"]]


def test_they_are_listed_newest_first_in_pages(api: Api, policies: str) -> None:
    made = [api.post(policies, **LEAST)["policy"]["policyId"] for _ in range(3)]
    first, second = (api.get(policies, page=page, pageSize=2) for page in (1, 2))
    assert [*ids(first), *ids(second)] == made[::-1]
    assert (first["total"], second["total"]) == (3, 3)
    assert set(first["policies"][0]) == FIELDS


def test_a_service_lists_its_own(
    api: Api, one: str, make_cluster: Callable[..., Cluster], policies: str
) -> None:
    other = f"/{make_cluster('other').service_id}/backup/policy"
    elsewhere = f"{other}/{one.rpartition('/')[2]}"
    assert api.get(other)["total"] == 0
    assert [api.get(elsewhere).status, api.post(elsewhere).status] == [404, 404]
    assert [api.delete(elsewhere).status, api.post(f"{elsewhere}/run").status] == [404, 404]


def test_a_deleted_service_still_lists_them(api: Api, one: str, policies: str) -> None:
    Cluster.objects.update(status="DELETED")
    assert ids(api.get(policies)) == [api.get(one)["policy"]["policyId"]]
    assert api.post(one, retentionCount=1).code == "FAILED_PRECONDITION"
    assert api.delete(one).status == 200


def test_deleting_answers_it_as_it_was_and_keeps_its_backups(
    api: Api, one: str, work: Callable[[], int]
) -> None:
    api.post(f"{one}/run")
    before = api.get(one)["policy"]
    said = api.delete(one)
    assert (said["policy"], said.header("Operation-Id")) == (before, None)
    assert api.get(one).status == api.delete(one).status == 404
    assert Backup.objects.get().policy_id == before["policyId"]


@pytest.mark.parametrize("name", ["pol-none", "a%00b", "verify", "policy"])
def test_what_is_not_there_is_not_found(api: Api, policies: str, name: str) -> None:
    assert api.get(f"{policies}/{name}").code == "NOT_FOUND"
    assert api.post(f"{policies}/{name}").code == "NOT_FOUND"
    assert api.delete(f"{policies}/{name}").code == "NOT_FOUND"
    assert api.post(f"{policies}/{name}/run").code == "NOT_FOUND"


# -- who may ---------------------------------------------------------------------------------------

SCOPES = [
    ("POST", "", CREATE_BACKUP_POLICY),
    ("GET", "", LIST_BACKUPS),
    ("POST", "/preview", LIST_BACKUPS),
    ("GET", "/{id}", LIST_BACKUPS),
    ("POST", "/{id}", UPDATE_BACKUP_POLICY),
    ("POST", "/{id}/run", CREATE_BACKUP_POLICY),
    ("DELETE", "/{id}", DELETE_BACKUP_POLICY),
]
EVERY = {CREATE_BACKUP_POLICY, UPDATE_BACKUP_POLICY, DELETE_BACKUP_POLICY, LIST_BACKUPS}


@pytest.mark.parametrize(("method", "path", "scope"), SCOPES)
def test_each_call_needs_its_scope(
    key_with: Callable[..., Api], one: str, method: str, path: str, scope: str
) -> None:
    policies, _, policy_id = one.rpartition("/")
    address = policies + path.format(id=policy_id)
    body = LEAST if method == "POST" and not path.endswith("run") else None
    assert key_with(*EVERY - {scope}).send(method, address, body=body).status == 403
    assert key_with(scope).send(method, address, body=body).status == 200


@pytest.mark.parametrize(("method", "path", "scope"), SCOPES)
def test_a_stranger_finds_nothing(
    stranger: Api, one: str, method: str, path: str, scope: str
) -> None:
    policies, _, policy_id = one.rpartition("/")
    body = LEAST if method == "POST" else None
    assert stranger.send(method, policies + path.format(id=policy_id), body=body).status == 404


def test_changes_leave_history(api: Api, one: str) -> None:
    api.post(one, retentionCount=0)
    job = api.post(f"{one}/run")["job"]["jobId"]
    api.delete(one)
    rows = AuditEntry.objects.order_by("pk").values_list("action", "object_id", "outcome")
    policy_id = one.rpartition("/")[2]
    assert list(rows) == [
        ("CreateBackupPolicy", policy_id, "ACCEPTED"),
        ("UpdateBackupPolicy", policy_id, "REFUSED"),
        ("RunBackupPolicy", policy_id, "ACCEPTED"),
        ("DeleteBackupPolicy", policy_id, "ACCEPTED"),
    ]
    assert AuditEntry.objects.get(action="RunBackupPolicy").detail == job
