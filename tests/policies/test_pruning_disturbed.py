"""Changes between decision and deletion, and a pruner that dies anywhere in between."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from backups.models import Backup
from backups.policies import pruning, services
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.sweeps import sweep_retention
from backups.services.backups import delete_backup
from backups.states import JobKind
from clusters.models import Cluster
from tests.policies.conftest import MakePolicy
from tests.policies.test_pruning import back_up, statuses
from vbase_console.tasks.models import Task


class Killed(BaseException):
    """Nothing that the pruner could catch."""


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Something that happens once it is decided, before it is done."""

    def happens(event: Callable[[], object]) -> None:
        decisions_on = pruning.decisions_on

        def decide(*given: object) -> object:
            verdicts = decisions_on(*given)  # type: ignore[arg-type]
            event()
            return verdicts

        monkeypatch.setattr(pruning, "decisions_on", decide)

    return happens


def test_what_is_proven_meanwhile_is_never_on_its_way_out(
    policy: BackupPolicy, between: Callable[[Callable[[], object]], None]
) -> None:
    """The proof comes too late, or the backup is kept: the first transaction locks the row."""
    oldest, *_ = [back_up(policy) for _ in range(3)]
    prover = threading.Thread(target=_prove, args=(oldest,))
    between(lambda: (prover.start(), prover.join(0.5)))
    sweep_retention()
    prover.join()
    oldest.refresh_from_db()
    assert (oldest.status, oldest.proven_at) == ("DELETING", None)


def _prove(backup: Backup) -> None:
    Backup.objects.available().filter(pk=backup.pk).update(proven_at=timezone.now())
    connection.close()


def test_a_run_that_is_tried_again_meanwhile_is_not_settled(
    policy: BackupPolicy, between: Callable[[Callable[[], object]], None]
) -> None:
    back_up(policy)
    between(lambda: Task.objects.filter(kind=JobKind.BACKUP).update(state="PENDING"))
    sweep_retention()
    assert PolicyRun.objects.retention_pending().count() == 1


def test_a_policy_that_nobody_understands_stops_no_other(make_policy: MakePolicy) -> None:
    garbled, sound = make_policy(), make_policy()
    for policy in (garbled, sound):
        for _ in range(3):
            back_up(policy)
    Backup.objects.filter(policy_id=garbled.pk).update(collections=[{"rows": "many"}])
    assert sweep_retention() == 1
    assert Backup.objects.filter(policy_id=sound.pk, status="DELETING").count() == 1


def test_however_many_are_too_many_all_go(
    make_policy: MakePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH_SIZE", 2)
    policy = make_policy(retention_count=1)
    for _ in range(6):
        back_up(policy)
    assert sweep_retention() == 5


@pytest.mark.parametrize("late", [False, True], ids=["before asking", "after asking"])
@pytest.mark.parametrize("step", range(1, 5))
def test_killed_at_any_step_it_ends_as_if_nothing_had_been(
    step: int, late: bool, make_policy: MakePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each backup that goes has one job that removes its files, and none has a job and stays."""
    monkeypatch.setattr(pruning, "BATCH_SIZE", 2)
    policy = make_policy(retention_count=1)
    for _ in range(5):
        back_up(policy)
    monkeypatch.setattr(pruning, "delete_backup", _dying_at(step, late=late))
    with pytest.raises(Killed):
        sweep_retention()
    nobody_is_half_gone()
    sweep_retention()
    nobody_is_half_gone()
    assert statuses() == ["DELETING"] * 4 + ["AVAILABLE"]


def _dying_at(step: int, *, late: bool) -> Callable[..., object]:
    count = itertools.count(1)

    def delete(backup: Backup, *, by: str, limited: bool) -> object:
        dies = next(count) == step
        if dies and not late:
            raise Killed
        job = delete_backup(backup, by=by, limited=limited)
        if dies:
            raise Killed
        return job

    return delete


def nobody_is_half_gone() -> None:
    deleting = Backup.objects.filter(status="DELETING")
    jobs = Task.objects.filter(kind=JobKind.DELETE)
    about = jobs.values_list("backup_job__backup", flat=True)
    assert sorted(about) == sorted(deleting.values_list("pk", flat=True))


@pytest.fixture
def before_each_lock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Events, each of which happens once a policy was read and just before its cluster is held:
    the first before the first batch, the second before the second.
    """

    def happen(*events: Callable[[], object]) -> None:
        left = list(events)

        def locked(cluster_id: str) -> Cluster:
            if left:
                left.pop(0)()
            return Cluster.objects.locked(cluster_id)

        monkeypatch.setattr(
            pruning, "Cluster", SimpleNamespace(objects=SimpleNamespace(locked=locked))
        )

    return happen


def nothing() -> None:
    pass


def raise_the_count(policy: BackupPolicy) -> None:
    services.update_policy(policy, retention_count=4)


@pytest.mark.parametrize("change", [raise_the_count, services.delete_policy])
@pytest.mark.parametrize("earlier", [[], [nothing]], ids=["before a lock", "between batches"])
def test_no_more_go_of_a_policy_that_changes_meanwhile(
    earlier: list[Callable[[], object]],
    change: Callable[[BackupPolicy], object],
    make_policy: MakePolicy,
    before_each_lock: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pruning, "BATCH_SIZE", 1)
    policy = make_policy(retention_count=1)
    for _ in range(4):
        back_up(policy)
    before_each_lock(*earlier, lambda: change(policy))
    assert sweep_retention() == len(earlier)
    assert statuses().count("AVAILABLE") == 4 - len(earlier)


def test_a_count_that_is_lowered_right_after_the_last_batch_is_applied_next_time(
    policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        back_up(policy)
    services.pause_policy(policy)
    prune_some = pruning._prune_batch

    def prune_and_lower(*given: object) -> tuple[int, int]:
        done = prune_some(*given)  # type: ignore[arg-type]
        services.update_policy(policy, retention_count=1)
        return done

    monkeypatch.setattr(pruning, "_prune_batch", prune_and_lower)
    assert sweep_retention() == 0
    monkeypatch.setattr(pruning, "_prune_batch", prune_some)
    assert sweep_retention() == 1
