from __future__ import annotations

import pytest

from backups.models import Backup
from backups.policies import services
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.sweeps import sweep_retention
from backups.services.backups import set_pinned
from backups.services.enqueue import enqueue_job
from backups.states import JobKind
from tests.policies.conftest import MakePolicy, end


def back_up(policy: BackupPolicy, **facts: object) -> Backup:
    services.run_now(policy, by="alice")
    run = policy.runs.select_related("job").order_by("-pk").first()
    assert run is not None
    return end(run, **facts)  # type: ignore[arg-type]


def statuses() -> list[str]:
    return list(Backup.objects.order_by("created_at").values_list("status", flat=True))


def test_after_a_run_what_is_too_many_goes(policy: BackupPolicy) -> None:
    for _ in range(4):
        back_up(policy)
    assert sweep_retention() == 2
    assert statuses() == ["DELETING", "DELETING", "AVAILABLE", "AVAILABLE"]


def test_it_is_applied_once_for_each_run(policy: BackupPolicy) -> None:
    for _ in range(3):
        back_up(policy)
    assert (sweep_retention(), sweep_retention()) == (1, 0)
    assert not PolicyRun.objects.retention_pending().exists()


def test_a_run_that_still_goes_changes_nothing(policy: BackupPolicy) -> None:
    for _ in range(2):
        back_up(policy)
    sweep_retention()
    services.run_now(policy, by="alice")
    assert sweep_retention() == 0


def test_a_paused_policy_is_pruned_too(policy: BackupPolicy) -> None:
    for _ in range(3):
        back_up(policy)
    services.pause_policy(policy)
    assert sweep_retention() == 1


def test_failed_ones_do_not_count(policy: BackupPolicy) -> None:
    back_up(policy)
    back_up(policy)
    back_up(policy, state="FAILED")
    assert sweep_retention() == 0


def test_a_general_warning_does_not_make_it_incomplete(policy: BackupPolicy) -> None:
    for _ in range(3):
        back_up(policy, warnings=["This server forgets much."])
    assert sweep_retention() == 1


def test_incomplete_ones_push_nothing_out(policy: BackupPolicy) -> None:
    for missing in ([], [], ["Collection a was not there."], ["Collection a was not there."]):
        back_up(policy, omissions=missing)
    assert sweep_retention() == 0


def test_a_fuller_one_stays_until_it_is_released(make_policy: MakePolicy) -> None:
    policy = make_policy(retention_count=1)
    full = back_up(policy, rows=1000)
    for _ in range(3):
        back_up(policy, rows=10)
        sweep_retention()
    full.refresh_from_db()
    assert (full.status, full.retention_hold) == ("AVAILABLE", True)
    services.release_backup(full)
    back_up(policy, rows=10)
    sweep_retention()
    full.refresh_from_db()
    assert full.status == "DELETING"


def test_a_pinned_one_stays(policy: BackupPolicy) -> None:
    pinned = set_pinned(back_up(policy), pinned=True)
    for _ in range(3):
        back_up(policy)
    sweep_retention()
    pinned.refresh_from_db()
    assert pinned.status == "AVAILABLE"


def test_a_lower_count_is_applied_soon(policy: BackupPolicy) -> None:
    for _ in range(2):
        back_up(policy)
    sweep_retention()
    services.update_policy(policy, retention_count=1)
    assert sweep_retention() == 1


def test_one_that_is_in_use_goes_later(policy: BackupPolicy) -> None:
    oldest = back_up(policy)
    job = enqueue_job(
        JobKind.RESTORE, backup=oldest, cluster=oldest.cluster, lock="",
        db_name="default", collection_names=[], by="alice",
    )  # fmt: skip
    for _ in range(2):
        back_up(policy)
    assert sweep_retention() == 0
    job.task.delete()
    assert sweep_retention() == 1


@pytest.mark.parametrize("count", [1, 2])
def test_deleting_the_policy_deletes_no_backup(count: int, make_policy: MakePolicy) -> None:
    policy = make_policy(retention_count=count)
    for _ in range(3):
        back_up(policy)
    services.delete_policy(policy)
    sweep_retention()
    assert set(statuses()) == {"AVAILABLE"}


def test_what_is_released_on_a_paused_policy_goes_soon(make_policy: MakePolicy) -> None:
    policy = make_policy(retention_count=1)
    full, _ = back_up(policy, rows=1000), back_up(policy, rows=10)
    services.pause_policy(policy)
    assert (sweep_retention(), statuses()) == (0, ["AVAILABLE"] * 2)
    services.release_backup(full)
    assert (sweep_retention(), statuses()) == (1, ["DELETING", "AVAILABLE"])


def test_what_is_unpinned_on_a_paused_policy_goes_soon(make_policy: MakePolicy) -> None:
    policy = make_policy(retention_count=1)
    pinned = set_pinned(back_up(policy), pinned=True)
    back_up(policy)
    services.pause_policy(policy)
    assert (sweep_retention(), PolicyRun.objects.retention_pending().count()) == (0, 0)
    set_pinned(pinned, pinned=False)
    assert (sweep_retention(), statuses()) == (1, ["DELETING", "AVAILABLE"])
