"""What can be asked of backups: one domain sentence each. HTML, API and admin all call these.

Each takes the cluster's or the backup's row first; each that takes time leaves a job and answers at
once.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Callable, Sequence

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from backups.hands import connected, open_archive
from backups.looking import answering, require_collections
from backups.models import NAME, Backup, BackupJob, PolicyRun
from backups.preflight import Preflight, Wish, look, preflight
from backups.states import BackupStatus, JobKind, OnConflict
from clusters.models import Cluster
from clusters.states import ENDED, Condition, ServiceStatus
from vbase_console.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from vbase_console.tasks import services as tasks
from vbase_console.tasks.models import Task, TaskQuerySet
from vbase_console.tasks.states import TaskState

DEFAULT_DATABASE = "default"
SUFFIX = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupRequest:
    """A backup that may be asked for: its words are understood, its cluster has been asked."""

    backup: Backup
    collection_names: list[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """A restore that may be asked for; a target that runs has been looked at."""

    backup: Backup
    target: Cluster
    wish: Wish


def take_backup(
    cluster: Cluster,
    *,
    collection_names: Sequence[str],
    db_name: str = "",
    backup_name: str = "",
    by: str,
    policy_id: str = "",
) -> BackupJob:
    """Ask for a backup of these collections as they are at one instant soon after now.

    Whoever is in a transaction calls `prepare_backup` before it begins and `accept_backup` in it:
    nobody waits for a lock while a server answers.
    """
    request = prepare_backup(
        cluster,
        collection_names=collection_names,
        db_name=db_name,
        backup_name=backup_name,
        policy_id=policy_id,
    )
    return accept_backup(request, by=by)


def prepare_backup(
    cluster: Cluster,
    *,
    collection_names: Sequence[str],
    db_name: str = "",
    backup_name: str = "",
    policy_id: str = "",
) -> BackupRequest:
    """Changes nothing. A running cluster is asked whether it has the collections."""
    request = _backup_request(
        cluster,
        collection_names=collection_names,
        db_name=db_name,
        backup_name=backup_name,
        policy_id=policy_id,
    )
    require_running(cluster)
    if cluster.condition == Condition.RUNNING:
        require_collections(cluster, request.backup.db_name, request.collection_names)
    return request


@transaction.atomic
def accept_backup(request: BackupRequest, *, by: str, retry_of: str = "") -> BackupJob:
    cluster = _hold_cluster(request.backup.cluster)
    require_running(cluster)
    _insert(request.backup)
    return _ask(
        JobKind.BACKUP,
        backup=request.backup,
        cluster=cluster,
        lock=cluster.lock,
        db_name=request.backup.db_name,
        collection_names=request.collection_names,
        by=by,
        retry_of=retry_of,
    )


def _backup_request(
    cluster: Cluster,
    *,
    collection_names: Sequence[str],
    db_name: str,
    backup_name: str,
    policy_id: str,
) -> BackupRequest:
    database = db_name or DEFAULT_DATABASE
    backup = Backup(
        organization_id=cluster.organization_id,
        cluster=cluster,
        name=_checked_name(backup_name) if backup_name else default_name(database),
        db_name=database,
        policy_id=policy_id,
    )
    return BackupRequest(backup=backup, collection_names=_chosen_collections(collection_names))


def look_ahead(
    backup: Backup,
    target: Cluster,
    *,
    db_name: str = "",
    collection_names: Sequence[str] = (),
    on_conflict: str = OnConflict.FAIL,
    suffix: str = "",
) -> Preflight:
    """What a restore would do now, and what stands in its way; changes nothing."""
    require_available(backup)
    require_running(target)
    return _look(backup, target, _wish(backup, db_name, collection_names, on_conflict, suffix))


def ahead_of_a_restore(target: Cluster) -> TaskQuerySet:
    """What runs on `target` or waits there, in turn order. A backup that only copies by now holds
    nobody up.
    """
    served_first = Q(holds_lock=True) | Q(state=TaskState.PENDING)
    return Task.objects.filter(served_first, lock=target.lock).in_turn_order()


def restore_backup(
    backup: Backup,
    target: Cluster,
    *,
    db_name: str = "",
    collection_names: Sequence[str] = (),
    on_conflict: str = OnConflict.FAIL,
    suffix: str = "",
    by: str,
) -> BackupJob:
    """Ask for collections of a backup to be brought back into `target`.

    Whoever is in a transaction calls `prepare_restore` and `accept_restore`, as with a backup.
    """
    request = prepare_restore(
        backup,
        target,
        db_name=db_name,
        collection_names=collection_names,
        on_conflict=on_conflict,
        suffix=suffix,
    )
    return accept_restore(request, by=by)


def prepare_restore(
    backup: Backup,
    target: Cluster,
    *,
    db_name: str = "",
    collection_names: Sequence[str] = (),
    on_conflict: str = OnConflict.FAIL,
    suffix: str = "",
) -> RestoreRequest:
    """Changes nothing. A running cluster is looked at: a name in the way is refused here and not
    in the job.
    """
    require_available(backup)
    require_running(target)
    wish = _wish(backup, db_name, collection_names, on_conflict, suffix)
    if target.condition == Condition.RUNNING:
        found = _look(backup, target, wish)
        if found.conflicts:
            raise AlreadyExists(" ".join(found.conflicts))
        if found.refusals:
            raise FailedPrecondition(" ".join(found.refusals))
    return RestoreRequest(backup=backup, target=target, wish=wish)


@transaction.atomic
def accept_restore(request: RestoreRequest, *, by: str, retry_of: str = "") -> BackupJob:
    cluster = _hold_cluster(request.target)
    require_running(cluster)
    backup = _hold_backup(request.backup)
    require_available(backup)
    wish = request.wish
    return _ask(
        JobKind.RESTORE,
        backup=backup,
        cluster=cluster,
        lock=cluster.lock,
        db_name=wish.db_name,
        collection_names=list(wish.collection_names),
        options={"on_conflict": wish.on_conflict, "suffix": wish.suffix},
        by=by,
        retry_of=retry_of,
    )


def _look(backup: Backup, target: Cluster, wish: Wish) -> Preflight:
    with answering():
        manifest = open_archive(backup).manifest
        with connected(target, wish.db_name) as client:
            return preflight(manifest, wish, look(client, wish.db_name), client.server())


def _wish(
    backup: Backup, db_name: str, names: Sequence[str], on_conflict: str, suffix: str
) -> Wish:
    if on_conflict not in set(OnConflict):
        there_is = ", ".join(OnConflict)
        raise InvalidArgument(field_errors={"onConflict": [f"Give one of {there_is}."]})
    if (on_conflict == OnConflict.RENAME) != bool(suffix):
        raise InvalidArgument(field_errors={"suffix": ["RENAME needs one; nothing else has one."]})
    if suffix and not SUFFIX.fullmatch(suffix):
        text = "Use 1 to 64 letters, digits and underscores."
        raise InvalidArgument(field_errors={"suffix": [text]})
    chosen = tuple(dict.fromkeys(name for name in names if name))
    _require_held(backup, chosen)
    return Wish(
        db_name=db_name or backup.db_name,
        collection_names=chosen,
        on_conflict=OnConflict(on_conflict),
        suffix=suffix,
    )


def _require_held(backup: Backup, names: Sequence[str]) -> None:
    held = [collection["name"] for collection in backup.collections]
    missing = [name for name in names if name not in held]
    if missing:
        raise NotFound(
            f"{backup.name} holds no collection {', '.join(missing)}, only {', '.join(held)}."
        )


@transaction.atomic
def verify_backup(backup: Backup, *, by: str, retry_of: str = "") -> BackupJob:
    """Ask whether every byte of the archive is what it was when it was sealed."""
    backup = _hold_backup(backup)
    require_available(backup)
    return _ask_about(JobKind.VERIFY, backup, by=by, retry_of=retry_of)


@transaction.atomic
def delete_backup(backup: Backup, *, by: str) -> BackupJob:
    """From now on nobody can restore it; the job succeeds when its files are gone."""
    backup = _hold_backup(backup)
    _refuse_while_used(backup)
    if backup.pinned:
        raise FailedPrecondition(f"{backup.name} is pinned; unpin it first.")
    backup.status = BackupStatus.DELETING
    backup.save(update_fields=["status"])
    return _ask_about(JobKind.DELETE, backup, by=by)


@transaction.atomic
def delete_again(backup: Backup, *, by: str, retry_of: str = "") -> BackupJob:
    """For a deletion whose job is dead: another one goes on with it."""
    backup = _hold_backup(backup)
    if backup.status != BackupStatus.DELETING:
        raise FailedPrecondition(f"{backup.name} is deleted already.")
    return _ask_about(JobKind.DELETE, backup, by=by, retry_of=retry_of)


@transaction.atomic
def set_pinned(backup: Backup, *, pinned: bool) -> Backup:
    """A pinned backup is deleted by nobody: no policy, no person."""
    backup = _hold_backup(backup)
    require_available(backup)
    backup.pinned = pinned
    backup.save(update_fields=["pinned"])
    return backup


@transaction.atomic
def cancel_job(job: BackupJob, *, by: str) -> BackupJob:
    tasks.request_cancel(job.task, by=by)
    return job


@transaction.atomic
def retry_job(job: BackupJob, *, by: str) -> BackupJob:
    """Ask again for what a failed or cancelled job should have done; the same rules hold. What a
    cluster itself would say is left to the job: nobody waits for a server with rows locked.
    """
    _hold_cluster(job.cluster)
    job.task.refresh_from_db()
    tasks.check_retryable(job.task)
    return _RETRY[JobKind(job.job_type)](job, by)


def _back_up_again(job: BackupJob, by: str) -> BackupJob:
    """Of a policy's job the names stay as given: none, where it takes all that there are."""
    backup = Backup(
        organization_id=job.organization_id,
        cluster=job.cluster,
        name=job.backup.name,
        db_name=job.db_name,
        policy_id=job.policy_id,
        chosen=job.backup.chosen,
    )
    request = BackupRequest(backup=backup, collection_names=job.collection_names)
    again = accept_backup(request, by=by, retry_of=job.task.task_id)
    if job.policy_id:
        _follow(job, again)
    return again


def _follow(job: BackupJob, again: BackupJob) -> None:
    """The second try is the same run of its policy, with the same wish about what is missing."""
    again.options = {name: job.options[name] for name in job.options if name == "on_missing"}
    again.save(update_fields=["options"])
    runs = PolicyRun.objects.filter(job=job)
    runs.update(job=again, skip_reason="", retained_at=None)


def _restore_again(job: BackupJob, by: str) -> BackupJob:
    options = {"on_conflict": OnConflict.FAIL, "suffix": ""} | job.options
    wish = _wish(job.backup, job.db_name, job.collection_names, **options)
    request = RestoreRequest(backup=job.backup, target=job.cluster, wish=wish)
    return accept_restore(request, by=by, retry_of=job.task.task_id)


def _verify_again(job: BackupJob, by: str) -> BackupJob:
    return verify_backup(job.backup, by=by, retry_of=job.task.task_id)


def _delete_again(job: BackupJob, by: str) -> BackupJob:
    return delete_again(job.backup, by=by, retry_of=job.task.task_id)


_RETRY: dict[JobKind, Callable[[BackupJob, str], BackupJob]] = {
    JobKind.BACKUP: _back_up_again,
    JobKind.RESTORE: _restore_again,
    JobKind.VERIFY: _verify_again,
    JobKind.DELETE: _delete_again,
}


def default_name(database: str) -> str:
    """`<db>-<UTC time>-<6 hex>`, cut where the database's name is very long."""
    moment = timezone.now().strftime("%Y%m%dT%H%M%SZ")
    return f"{database[:100]}-{moment}-{secrets.token_hex(3)}"


def require_available(backup: Backup) -> None:
    if backup.status == BackupStatus.CREATING:
        raise FailedPrecondition(
            f"{backup.name} is still being written; wait until it is AVAILABLE."
        )
    if backup.status == BackupStatus.DELETING:
        raise FailedPrecondition(f"{backup.name} is being deleted.")
    if backup.status == BackupStatus.GONE:
        raise FailedPrecondition(f"{backup.name} is deleted, or was never finished.")


def require_running(cluster: Cluster) -> None:
    """A backup or a restore needs a cluster that runs or is on its way there."""
    if cluster.status in ENDED:
        raise FailedPrecondition(f"{cluster.service_id} is {cluster.status}.")
    on_its_way = cluster.status in (ServiceStatus.CREATING, ServiceStatus.UPDATING)
    if not cluster.wanted_running or not (
        on_its_way or cluster.condition in (Condition.RUNNING, Condition.UNSEEN)
    ):
        raise FailedPrecondition(
            f"{cluster.service_id} is {cluster.status}; it must be RUNNING. Start it first."
        )


def _refuse_while_used(backup: Backup) -> None:
    """A backup that is written or restored from stays; a refusal names the job in the way."""
    if backup.status in (BackupStatus.DELETING, BackupStatus.GONE):
        raise FailedPrecondition(f"{backup.name} is being deleted.")
    users = Task.objects.active().filter(
        backup_job__backup=backup, kind__in=[JobKind.BACKUP, JobKind.RESTORE]
    )
    task = users.first()
    if task is not None:
        raise Aborted(
            f"{task.task_id} ({task.kind}) uses {backup.name}; wait for its end or cancel it.",
            retry_after_seconds=5,
        )


def _ask_about(kind: JobKind, backup: Backup, *, by: str, retry_of: str = "") -> BackupJob:
    return _ask(
        kind,
        backup=backup,
        cluster=backup.cluster,
        lock=backup.lock,
        db_name=backup.db_name,
        collection_names=[collection["name"] for collection in backup.collections],
        by=by,
        retry_of=retry_of,
    )


def _ask(
    kind: JobKind,
    *,
    backup: Backup,
    cluster: Cluster,
    lock: str,
    db_name: str,
    collection_names: list[str],
    options: dict[str, str] | None = None,
    by: str,
    retry_of: str = "",
) -> BackupJob:
    task = tasks.enqueue(
        organization_id=backup.organization_id,
        kind=kind,
        subject_id=backup.backup_id,
        lock=lock,
        requested_by=by,
        retry_of=retry_of,
    )
    return BackupJob.objects.create(
        task=task,
        organization_id=backup.organization_id,
        job_type=kind,
        backup=backup,
        cluster=cluster,
        db_name=db_name,
        collection_names=collection_names,
        options=options or {},
        policy_id=backup.policy_id,
        **_extent(backup, collection_names),
    )


def _extent(backup: Backup, names: Sequence[str]) -> dict[str, int | None]:
    """How much a job is about. What is still to be written is counted as it is written."""
    if backup.status == BackupStatus.CREATING:
        return {"row_count": None, "size_bytes": None}
    chosen = [each for each in backup.collections if not names or each["name"] in names]
    return {
        "row_count": sum(each["rowCount"] for each in chosen),
        "size_bytes": sum(each["sizeBytes"] for each in chosen),
    }


def _chosen_collections(names: Sequence[str]) -> list[str]:
    chosen = list(dict.fromkeys(name for name in names if name))
    if not chosen:
        raise InvalidArgument(field_errors={"collectionNames": ["Name at least one collection."]})
    reserved = [name for name in chosen if name.startswith("_vbase_")]
    if reserved:
        text = f"{', '.join(reserved)}: names that begin with _vbase_ are the console's own."
        raise InvalidArgument(field_errors={"collectionNames": [text]})
    return chosen


def _checked_name(name: str) -> str:
    try:
        NAME(name)
    except ValidationError as error:
        raise InvalidArgument(field_errors={"backupName": error.messages}) from error
    return name


def _insert(backup: Backup) -> None:
    try:
        with transaction.atomic():
            backup.save(force_insert=True)
    except IntegrityError as error:
        raise AlreadyExists(
            f"A backup named '{backup.name}' exists in this organization; choose another name."
        ) from error


def _hold_cluster(cluster: Cluster) -> Cluster:
    return Cluster.objects.select_for_update(of=("self",)).get(pk=cluster.pk)


def _hold_backup(backup: Backup) -> Backup:
    """The cluster's row first, as everybody does: a job's row names both."""
    _hold_cluster(backup.cluster)
    locked = Backup.objects.select_for_update(of=("self",)).select_related("cluster")
    return locked.get(pk=backup.pk)
