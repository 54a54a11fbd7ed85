"""Pruners as processes of their own, killed on their way: what retention decided is done once in
the end, and nothing is half gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from itertools import count

from django.db import connections, transaction

from backups.models import Backup
from backups.policies import pruning, sweeps
from backups.policies.models import BackupPolicy, PolicyRun
from backups.services import backups
from clusters.models import ClusterQuerySet
from tests.crash.processes import Points, exit_code
from tests.policies.conftest import MakePolicy
from tests.policies.conftest import cluster as cluster
from tests.policies.conftest import make_policy as make_policy
from tests.policies.test_pruning import back_up
from tests.policies.test_pruning_disturbed import nobody_is_half_gone

FORK = multiprocessing.get_context("fork")


def prune_in_a_process(*, die_at: int) -> int:
    """A pruner that dies before any of its steps, right before a commit or right behind one."""
    connections.close_all()

    def run() -> None:
        pruning.BATCH_SIZE = 1
        points = Points(die_at)
        points.before(ClusterQuerySet, "locked")
        points.before(pruning, "decisions_on")
        points.before(pruning, "delete_backup")
        points.before(backups, "enqueue_job_about")
        points.before(transaction.Atomic, "__exit__")
        sweeps.sweep_retention()
        connections.close_all()
        os._exit(0)

    process = FORK.Process(target=run)
    process.start()
    return exit_code(process)


def test_killed_anywhere_it_ends_as_if_nothing_had_been(make_policy: MakePolicy) -> None:
    for die_at in count(1):
        policy = make_policy(retention_count=1)
        for _ in range(3):
            back_up(policy)
        code = prune_in_a_process(die_at=die_at)
        nobody_is_half_gone()
        sweeps.sweep_retention()
        nobody_is_half_gone()
        assert statuses_of(policy) == ["DELETING", "DELETING", "AVAILABLE"]
        assert not PolicyRun.objects.retention_pending().exists()
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert die_at > 10


def statuses_of(policy: BackupPolicy) -> list[str]:
    own = Backup.objects.filter(policy_id=policy.policy_id).order_by("created_at")
    return list(own.values_list("status", flat=True))
