"""Job VERSION_UPGRADE: change the version, on drivers that keep copies with a way back.

docs/engine-versions.md describes the steps and their failure cases. Going back is the same job in
the other direction: its data is the copy that the upgrade has kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator

from django.conf import settings
from django.utils import timezone

from clusters import protection
from clusters.driver import driver_of, observe, spec_of
from clusters.drivers.base import ClusterDriver, ClusterSpec, DriverError, Presence, Progress
from clusters.job_steps import drive, read_cluster, store_observation, store_running
from clusters.models import Cluster, KeptCopy
from clusters.resources import check_resources, resources_of
from clusters.states import TaskKind
from vbase_console.core.errors import ConsoleError, InvalidArgument
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed, JobPostponed
from vbase_console.tasks.models import HELD_AT, Task
from vbase_console.tasks.states import LEASED, TaskState

Answers = dict[str, dict[str, object]]

BACKUPS = "backups"
"""Checkpoint key: ids of the backups that the upgrade waits for."""
ANSWERS = "answers"
"""Checkpoint key: sampled answers of the version that is left. None at the end of the task, because
they contain keys of rows.
"""
CONFIRMED = "confirmed"
"""Checkpoint key: present from the point of no return."""
IN_PLACE = "in_place"
"""Checkpoint key: present from the change of the version by a driver that keeps no copies."""
FACTS = "facts"
"""Checkpoint key: what the upgrade took, for the pages."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VersionChange:
    before: ClusterSpec
    after: ClusterSpec
    goes_back: bool

    @classmethod
    def of(cls, task: Task, cluster: Cluster) -> VersionChange:
        target = resources_of(cluster).changed(task.arguments["changes"])
        return cls(
            before=spec_of(cluster),
            after=spec_of(cluster, target),
            goes_back=bool(task.arguments.get("go_back")),
        )


def upgrade(attempt: Attempt, cluster: Cluster) -> None:
    driver, change = driver_of(cluster), VersionChange.of(attempt.task, cluster)
    if not must_finish(attempt.task):
        _check(attempt, cluster, driver, change)
        _back_up_first(attempt, cluster, driver)
        try:
            _hold(attempt, cluster, driver, change)
            _change_version(attempt, driver, change)
            _compare(attempt, cluster, driver, change)
        except (DriverError, JobFailed) as error:
            if not error.permanent:
                raise
            reason = str(error).rstrip(". ")
            text = f"{reason}. Version {change.before.version} and its data were put back."
            raise JobFailed(text, permanent=True) from error
        attempt.safe_point_now()
        _confirm(attempt, cluster, driver)
    _finish(attempt, cluster, driver, change)


def upgrade_in_place(attempt: Attempt, cluster: Cluster) -> None:
    """Change the version on a driver that keeps no copies. A stopped cluster gets the version at
    its next start.
    """
    driver, change = driver_of(cluster), VersionChange.of(attempt.task, cluster)
    _check(attempt, cluster, driver, change)
    _back_up_first(attempt, cluster, driver)
    if not cluster.wanted_running:
        return
    attempt.safe_point_now()
    attempt.save_checkpoint(**{IN_PLACE: True})
    drive(attempt, _between(10, 100, driver.upgrade(change.after, attempt.guard)))
    store_running(attempt, cluster)


def must_finish(task: Task) -> bool:
    """Return True once the new version is confirmed: rows are written to it from then on."""
    return CONFIRMED in task.checkpoint


def refuses_writes(task: Task) -> bool:
    """Return True while the writes of clients are refused because of this task."""
    return HELD_AT in task.checkpoint


def undo(attempt: Attempt) -> None:
    """Put version and data back. Starts nothing while a deletion waits."""
    cluster = read_cluster(attempt)
    if Task.objects.about(cluster.pk).active().filter(kind=TaskKind.DELETION).exists():
        return
    driver, change = driver_of(cluster), VersionChange.of(attempt.task, cluster)
    if refuses_writes(attempt.task):
        _put_back(attempt, cluster, driver, change)
        attempt.save_checkpoint(**{ANSWERS: None})
    elif IN_PLACE in attempt.task.checkpoint:
        _exhaust(driver.upgrade(change.before, attempt.guard))
    elif cluster.wanted_running and observe(cluster).presence is Presence.STOPPED:
        with contextlib.suppress(DriverError):  # then the reconciler tries again
            _exhaust(driver.start(change.before, attempt.guard))
    store_observation(attempt)


def _put_back(
    attempt: Attempt, cluster: Cluster, driver: ClusterDriver, change: VersionChange
) -> None:
    _exhaust(driver.go_back(change.before, change.after.version, attempt.guard))
    if not cluster.wanted_running:
        _exhaust(driver.stop(cluster.cluster_id, attempt.guard))
    driver.open(cluster.cluster_id, attempt.guard)
    if not change.goes_back:
        driver.drop_copy(cluster.cluster_id, change.after.version, attempt.guard)


def other_work(task: Task) -> Task | None:
    """Return a task that reads or writes the cluster at this moment, besides `task`."""
    return Task.objects.filter(lock=task.lock, state__in=LEASED).exclude(pk=task.pk).first()


def _check(
    attempt: Attempt, cluster: Cluster, driver: ClusterDriver, change: VersionChange
) -> None:
    """Check again what the request was admitted for, because it may have waited for long."""
    attempt.report(2, "checking", f"Checking the change to {change.after.version}.")
    if refuses_writes(attempt.task):
        return
    if change.goes_back:
        if not driver.has_copy(cluster.cluster_id, change.after.version):
            message = f"The data of {change.after.version} is no longer kept."
            raise JobFailed(message, permanent=True)
    else:
        target = resources_of(cluster).changed(attempt.task.arguments["changes"])
        try:
            check_resources(target, driver.capabilities, present=cluster.version)
        except InvalidArgument as error:
            raise JobFailed(error.message, permanent=True) from error
        require_space(driver, cluster)
    if task := other_work(attempt.task):
        attempt.save_checkpoint()
        raise JobPostponed(f"Waiting until {task.task_id} ({task.kind}) has finished.")


def require_space(driver: ClusterDriver, cluster: Cluster) -> None:
    """Raise JobFailed if the copy of the data does not fit on the disk."""
    size, free = driver.copy_size(cluster.cluster_id), driver.free_bytes(cluster.cluster_id)
    if size is not None and free is not None and free < size.needed_bytes:
        raise JobFailed(
            f"A copy of the data needs {size.needed_bytes // 1024**2} MiB, and "
            f"{free // 1024**2} MiB are free. Free disk space, then retry.",
            permanent=True,
        )


def _back_up_first(attempt: Attempt, cluster: Cluster, driver: ClusterDriver) -> None:
    """Enqueue backups once, and wait for them without a worker: they need the cluster's lock."""
    wanted = attempt.task.arguments.get("backup_first", False) and driver.capabilities.stores_rows
    if not wanted or refuses_writes(attempt.task):
        return
    if BACKUPS not in attempt.task.checkpoint:
        attempt.report(5, "backup", "Listing databases.")
        try:
            databases = protection.databases_with_rows(cluster)
            with attempt.fenced():
                ids = protection.back_up(cluster, databases, by=attempt.task.requested_by)
                attempt.save_checkpoint(**{BACKUPS: ids})
        except ConsoleError as error:
            message = f"The backup before the upgrade was not possible: {error.message}"
            raise JobFailed(message, permanent=False) from error
    ids = attempt.task.checkpoint[BACKUPS]
    tasks = list(Task.objects.filter(task_id__in=ids))
    for task in tasks:
        if task.state in (TaskState.FAILED, TaskState.CANCELLED):
            message = (
                f"The backup before it ended as {task.state} ({task.task_id}). Nothing was changed."
            )
            raise JobFailed(f"{message} {task.message}", permanent=True)
    waiting = [task.task_id for task in tasks if task.is_active]
    if waiting:
        attempt.save_checkpoint()
        _start_if_crashed(attempt, cluster, driver)
        raise JobPostponed(f"Waiting for the backup {', '.join(waiting)}.")


def _start_if_crashed(attempt: Attempt, cluster: Cluster, driver: ClusterDriver) -> None:
    """Heal the cluster, because healing leaves a cluster with an unfinished task alone."""
    if observe(cluster).presence is Presence.CRASHED:
        drive(attempt, driver.start(spec_of(cluster), attempt.guard))


def _hold(attempt: Attempt, cluster: Cluster, driver: ClusterDriver, change: VersionChange) -> None:
    """Refuse writes, and store the answers of the present version."""
    if ANSWERS in attempt.task.checkpoint:
        return
    attempt.report(10, "holding", "Refusing writes and flushing. Reads are served.")
    attempt.safe_point_now()
    held_at = attempt.task.checkpoint.get(HELD_AT, time.time())
    attempt.save_checkpoint(**{HELD_AT: held_at})
    driver.hold(cluster.cluster_id, attempt.guard)
    drive(attempt, _between(10, 20, driver.start(change.before, attempt.guard)))
    attempt.save_checkpoint(**{ANSWERS: ask(cluster)})


def ask(cluster: Cluster, before: Answers | None = None) -> Answers:
    """Return sampled answers of the running cluster. Empty if the driver stores no rows."""
    access = driver_of(cluster).console_access(cluster.cluster_id)
    if access is None:
        return {}
    from clusters.drivers import answers  # reads rows: imported by the first job (ADR 0014)

    return answers.ask(access, before)


def _change_version(attempt: Attempt, driver: ClusterDriver, change: VersionChange) -> None:
    before, after = change.before, change.after
    if change.goes_back:
        steps = driver.go_back(after, before.version, attempt.guard)
        drive(attempt, _between(20, 85, steps))
        return
    copying = driver.keep_copy(before.cluster_id, before.version, attempt.guard)
    drive(attempt, _between(20, 50, copying))
    drive(attempt, _between(50, 85, driver.upgrade(after, attempt.guard)))


def _compare(
    attempt: Attempt, cluster: Cluster, driver: ClusterDriver, change: VersionChange
) -> None:
    """Compare with the answers of the version that had this data before."""
    attempt.report(90, "comparing", "Comparing rows, load states and sampled searches.")
    expected: Answers = attempt.task.checkpoint[ANSWERS]
    if change.goes_back:
        expected = KeptCopy.objects.get(cluster=cluster).answers
    if not expected:
        return
    from clusters.drivers import answers

    problems = answers.differences(expected, ask(cluster, expected))
    if problems:
        shown = "; ".join(problems[:5]) + (" …" if len(problems) > 5 else "")
        raise JobFailed(
            f"{change.after.version} does not answer as {change.before.version} did: {shown}.",
            permanent=True,
        )


def _confirm(attempt: Attempt, cluster: Cluster, driver: ClusterDriver) -> None:
    size = driver.copy_size(cluster.cluster_id)
    facts = {
        "data_bytes": size.total_bytes if size else 0,
        "held_seconds": round(time.time() - attempt.task.checkpoint[HELD_AT], 1),
    }
    attempt.save_checkpoint(**{CONFIRMED: True, FACTS: facts})


def _finish(
    attempt: Attempt, cluster: Cluster, driver: ClusterDriver, change: VersionChange
) -> None:
    """Serve writes again. Cannot be cancelled and is repeated until it succeeds, because the
    cluster may have acknowledged rows that only its new data contains.
    """
    try:
        _exhaust(driver.start(change.after, attempt.guard))
        if not cluster.wanted_running:
            _exhaust(driver.stop(cluster.cluster_id, attempt.guard))
        driver.open(cluster.cluster_id, attempt.guard)
        _keep_one_copy(attempt, cluster, driver, change)
    except DriverError as error:
        raise JobFailed(str(error), permanent=False) from error
    if cluster.wanted_running:
        store_running(attempt, cluster)


def _keep_one_copy(
    attempt: Attempt, cluster: Cluster, driver: ClusterDriver, change: VersionChange
) -> None:
    """Keep the copy of the version that was left, for the time of the setting. After going back
    none is kept.
    """
    kept = KeptCopy.objects.filter(cluster=cluster)
    if change.goes_back:
        driver.drop_copy(cluster.cluster_id, change.before.version, attempt.guard)
        with attempt.fenced():
            kept.delete()
            attempt.save_checkpoint(**{ANSWERS: None})
        return
    for version in kept.exclude(version=change.before.version).values_list("version", flat=True):
        driver.drop_copy(cluster.cluster_id, version, attempt.guard)
    if attempt.task.checkpoint[ANSWERS] is None:
        return  # an earlier attempt has stored the copy's row
    now = timezone.now()
    with attempt.fenced():
        KeptCopy.objects.update_or_create(
            cluster=cluster,
            defaults={
                "version": change.before.version,
                "size_bytes": attempt.task.checkpoint[FACTS]["data_bytes"],
                "answers": attempt.task.checkpoint[ANSWERS],
                "created_at": now,
                "expires_at": now + settings.UPGRADE_KEEP,
                "removing": False,
            },
        )
        attempt.save_checkpoint(**{ANSWERS: None})


def _exhaust(steps: Iterator[Progress]) -> None:
    """Make all steps without a report, because a report can end in a cancellation."""
    for _ in steps:
        pass


def _between(begin: int, end: int, steps: Iterator[Progress]) -> Iterator[Progress]:
    """Scale the progress of one phase to its share of the job."""
    for step in steps:
        percent = begin + (end - begin) * step.percent // 100
        yield dataclasses.replace(step, percent=percent)
