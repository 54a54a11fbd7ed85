"""Running a policy now, looking ahead, releasing what retention holds, and what a cluster shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from backups.models import Backup
from backups.policies.models import PolicyRun
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import seed_backup
from tests.policies.conftest import end
from vbase_console.organizations.models import AuditEntry

SCHEDULE = {"scheduleCron": "0 3 * * *", "timezone": "Asia/Kolkata"}
WISH = SCHEDULE | {"retentionCount": 1}
START = "2026-06-01T12:00:00Z"


@pytest.fixture
def policies(of: str) -> str:
    return f"{of}/policy"


@pytest.fixture
def policy_id(api: Api, policies: str) -> str:
    return str(api.post(policies, **WISH | {"retentionCount": 2})["policy"]["policyId"])


@pytest.fixture
def run(policies: str, policy_id: str) -> str:
    return f"{policies}/{policy_id}/run"


# -- run now ---------------------------------------------------------------------------------------


def test_a_run_is_a_job_of_its_policy(api: Api, run: str, of: str, policy_id: str) -> None:
    said = api.post(run)
    job = said["job"]
    assert (job["jobType"], job["status"], job["policyId"]) == ("BACKUP", "PENDING", policy_id)
    assert said.header("Operation-Id") == job["jobId"]
    assert said.header("Location") == f"/v1/vbase/jobs/{job['jobId']}"
    assert api.get(of, policyId=policy_id)["jobs"] == [job]


def test_a_policy_shows_its_newest_run(api: Api, run: str) -> None:
    job = api.post(run)["job"]
    policy = api.get(run.removesuffix("/run"))["policy"]
    assert (policy["lastStatus"], policy["lastRunAt"] >= job["createdAt"]) == ("PENDING", True)
    end(PolicyRun.objects.get(), state="FAILED")
    assert api.get(run.removesuffix("/run"))["policy"]["lastStatus"] == "FAILED"


def test_a_paused_policy_runs_when_it_is_asked(api: Api, run: str) -> None:
    api.post(run.removesuffix("/run"), isActive=False)
    assert api.post(run).status == 200


def test_a_second_run_is_refused_while_the_first_goes(api: Api, run: str) -> None:
    job = api.post(run)["job"]["jobId"]
    said = api.post(run)
    assert (said.code, job in said["response"]["message"]) == ("ABORTED", True)


def test_a_stopped_cluster_is_refused_and_leaves_no_run(api: Api, run: str) -> None:
    Cluster.objects.update(status="STOPPED", wanted_running=False, condition="STOPPED")
    said = api.post(run)
    assert (said.code, "STOPPED" in said["response"]["message"]) == ("FAILED_PRECONDITION", True)
    assert not PolicyRun.objects.exists()


def test_a_key_gives_one_run(api: Api, run: str) -> None:
    first, again = (api.send("POST", run, body={}, Idempotency_Key="k") for _ in range(2))
    assert first["job"] == again["job"]
    assert PolicyRun.objects.count() == 1


def test_a_run_takes_no_wishes(api: Api, run: str) -> None:
    assert list(api.post(run, collectionNames=["a"]).field_errors) == ["collectionNames"]


# -- look ahead ------------------------------------------------------------------------------------


def look(api: Api, policies: str, **asked: Any) -> Any:
    return api.post(f"{policies}/preview", **WISH | {"startAt": START} | asked)


def test_it_tells_the_schedule_in_words_and_in_both_zones(api: Api, policies: str) -> None:
    said = look(api, policies, count=2)
    assert said["description"] == "At 03:00 every day"
    assert said["runs"] == ["2026-06-01T21:30:00Z", "2026-06-02T21:30:00Z"]
    assert said["localRuns"] == ["2026-06-02T03:00:00+05:30", "2026-06-03T03:00:00+05:30"]
    assert (said["wouldKeep"], said["wouldExpire"]) == ([], [])


def test_it_shows_ten_runs_in_utc_from_now_unless_told_otherwise(api: Api, policies: str) -> None:
    said = api.post(f"{policies}/preview", scheduleCron="@hourly", retentionCount=1)
    assert len(said["runs"]) == len(said["localRuns"]) == 10
    utc, local = datetime.fromisoformat(said["runs"][0]), said["localRuns"][0]
    assert (datetime.fromisoformat(local), local[-6:]) == (utc, "+00:00")


@pytest.mark.parametrize(
    "start", ["2026-06-01T14:00:00+02:00", "2026-06-01T12:00:00.000Z", "2026-06-01t12:00:00z"]
)
def test_an_instant_is_written_in_many_ways(api: Api, policies: str, start: str) -> None:
    assert look(api, policies, startAt=start, count=1)["runs"] == ["2026-06-01T21:30:00Z"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"count": 0}, "count"),
    ({"count": 101}, "count"),
    ({"count": "5"}, "count"),
    ({"count": 10**40}, "count"),
    ({"startAt": "2026-06-01T12:00:00"}, "startAt"),
    ({"startAt": "2026-06-01"}, "startAt"),
    ({"startAt": "2026-02-30T12:00:00Z"}, "startAt"),
    ({"startAt": "0001-01-01T00:00:00+14:00"}, "startAt"),
    ({"startAt": "9999-12-31T23:59:59-12:00"}, "startAt"),
    ({"startAt": "1969-12-31T00:00:00Z"}, "startAt"),
    ({"startAt": 5}, "startAt"),
    ({"scheduleCron": "0 25 * * *"}, "scheduleCron"),
    ({"timezone": "Nowhere"}, "timezone"),
    ({"retentionCount": 0}, "retentionCount"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("asked", "field"), BAD)
def test_what_is_wrong_is_named(api: Api, policies: str, asked: dict[str, Any], field: str) -> None:
    said = look(api, policies, **asked)
    assert (said.code, [field]) == ("INVALID_ARGUMENT", list(said.field_errors))


def test_a_hundred_runs_of_the_rarest_schedule_are_shown(api: Api, policies: str) -> None:
    assert len(look(api, policies, scheduleCron="0 0 29 2 *", count=10)["runs"]) == 10


def test_it_tells_what_a_lower_count_would_cost(
    api: Api, policies: str, run: str, policy_id: str
) -> None:
    older, newer = (_backed_up(api, run) for _ in range(2))
    said = look(api, policies, policyId=policy_id)
    (kept,), (gone,) = said["wouldKeep"], said["wouldExpire"]
    assert (kept["backupName"], kept["reason"]) == (newer.name, "kept: newest 1")
    assert (gone["backupId"], gone["reason"]) == (older.backup_id, "expired: 2nd newest")
    assert set(gone) == {"backupName", "backupId", "createdAt", "reason"}
    assert Backup.objects.available().count() == 2


def _backed_up(api: Api, run: str, **facts: Any) -> Backup:
    assert api.post(run).status == 200
    return end(PolicyRun.objects.order_by("pk").last(), **facts)  # type: ignore[arg-type]


def test_only_a_policy_of_this_service_is_looked_at(
    api: Api, policies: str, policy_id: str, make_cluster: Callable[..., Cluster]
) -> None:
    other = f"/{make_cluster('other').service_id}/backup/policy"
    assert look(api, other, policyId=policy_id).code == "NOT_FOUND"
    assert look(api, policies, policyId="").status == 200


def test_a_look_leaves_no_history_and_works_for_what_is_deleted(
    api: Api, policies: str, policy_id: str
) -> None:
    Cluster.objects.update(status="DELETED")
    assert look(api, policies, policyId=policy_id).status == 200
    assert not AuditEntry.objects.filter(action="PreviewBackupPolicy").exists()


# -- release ---------------------------------------------------------------------------------------


def test_a_held_backup_is_shown_and_released(api: Api, of: str, cluster: Cluster) -> None:
    seed_backup(cluster, "fuller", policy_id="pol-1", retention_hold=True)
    assert api.get(f"{of}/fuller")["backup"]["held"] is True
    said = api.post(f"{of}/fuller/release")
    assert said["backup"]["held"] is False
    assert said.header("Location") == f"/v1/vbase{of}/fuller"
    assert AuditEntry.objects.get().action == "ReleaseBackup"


def test_what_is_released_may_expire(
    api: Api, of: str, run: str, policies: str, policy_id: str
) -> None:
    fuller, _ = _backed_up(api, run, rows=100), _backed_up(api, run, rows=1)
    held = look(api, policies, policyId=policy_id)
    assert "until it is released" in held["wouldKeep"][-1]["reason"]
    api.post(f"{of}/{fuller.name}/release")
    (gone,) = look(api, policies, policyId=policy_id)["wouldExpire"]
    assert gone["backupName"] == fuller.name


def test_what_is_not_available_is_not_released(api: Api, of: str, cluster: Cluster) -> None:
    seed_backup(cluster, "new", status="CREATING")
    assert api.post(f"{of}/new/release").code == "ABORTED"


# -- what a cluster shows --------------------------------------------------------------------------


def protection(api: Api, cluster: Cluster) -> Any:
    path = f"/{cluster.organization_id}/clusters/{cluster.cluster_id}"
    return api.get(path)["configuration"]["backup"]


def test_a_cluster_without_policies_and_backups_says_so(api: Api, cluster: Cluster) -> None:
    assert protection(api, cluster) == {
        "policyCount": 0,
        **dict.fromkeys(["lastBackupAt", "lastProvenAt", "nextBackupAt"]),
    }


def test_a_cluster_counts_its_policies_and_names_its_nearest_run(
    api: Api, policies: str, cluster: Cluster
) -> None:
    seldom = api.post(policies, scheduleCron="0 0 1 1 *", retentionCount=1)["policy"]
    shown = protection(api, cluster)
    assert (shown["policyCount"], shown["nextBackupAt"]) == (1, seldom["nextRunAt"])
    often = api.post(policies, scheduleCron="* * * * *", retentionCount=1)
    shown = protection(api, cluster)
    assert (shown["policyCount"], shown["nextBackupAt"]) == (2, often["policy"]["nextRunAt"])
    api.post(str(often.header("Location")), isActive=False)
    shown = protection(api, cluster)
    assert (shown["policyCount"], shown["nextBackupAt"]) == (2, seldom["nextRunAt"])
    api.delete(str(often.header("Location")))
    assert protection(api, cluster)["policyCount"] == 1


def test_a_cluster_names_its_newest_backup_and_its_newest_proof(
    api: Api, cluster: Cluster, run: str
) -> None:
    first = _backed_up(api, run, proven_at="2026-06-02T00:00:00Z")
    second = _backed_up(api, run)
    seed_backup(cluster, "gone", status="GONE", proven_at="2026-07-01T00:00:00Z")
    seed_backup(cluster, "writing", status="CREATING")
    shown = protection(api, cluster)
    assert shown["lastProvenAt"] == "2026-06-02T00:00:00Z"
    assert datetime.fromisoformat(shown["lastBackupAt"]) == second.created_at > first.created_at


def test_a_deleted_clusters_policies_plan_nothing(api: Api, policies: str, run: str) -> None:
    cluster = Cluster.objects.get()
    said = api.delete(f"/clusters/{cluster.cluster_id}")
    assert "Its policy is paused" in said["message"]
    shown = protection(api, cluster)
    assert (shown["policyCount"], shown["nextBackupAt"]) == (1, None)
