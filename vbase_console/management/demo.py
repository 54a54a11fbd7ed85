"""Rows of an organization with sample data: clusters, tasks, backups with jobs and policies.

The rows are written in batches, without services, drivers and stores. They are those of finished
work, so that no worker and no sweep has anything to do.
"""

from __future__ import annotations

import dataclasses
import random
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import cycle, islice
from typing import Any, Generic, TypeVar

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import AutoField, Count, Field, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import TruncDate
from django.utils import timezone

from backups.figures.job_counts import keep_count
from backups.figures.storage_days import KEPT_DAYS, measure_day
from backups.models import FOUND_BY_READING, Backup, BackupJob, JobCount, SealedPart, StorageDay
from backups.names import DEFAULT_DATABASE
from backups.policies.days import CALENDAR_DAYS
from backups.policies.kept_figures import recount
from backups.policies.models import BackupPolicy, PolicyDay, PolicyRun
from backups.protection.coverage import update_coverage
from backups.protection.models import InventoryScan, KnownCollection
from backups.states import JOB_ID_PREFIX, BackupStatus, JobKind
from clusters.availability import shown_days, start_of
from clusters.driver import get_driver
from clusters.models import Cluster, ClusterDay, LoadSample
from clusters.states import Condition, ServiceStatus, TaskKind
from vbase_console.core.encryption import encrypt
from vbase_console.core.ids import ALPHABET, LENGTH
from vbase_console.core.planner_statistics import update_planner_statistics
from vbase_console.organizations.models import ApiKey, AuditEntry, Membership, Organization
from vbase_console.organizations.scopes import Role
from vbase_console.organizations.services import create_organization
from vbase_console.search.models import CollectionWord, SearchWord
from vbase_console.search.words import index_collections, index_names, words_of
from vbase_console.tasks.days import keep_days_of
from vbase_console.tasks.models import Task, TaskDay, TaskEvent
from vbase_console.tasks.states import TASK_ID_PREFIX, TaskState

M = TypeVar("M", bound=Model)
Row = dict[str, object]
"""Column → value."""
DRIVER = "memory"
BATCH_SIZE = 2_000
DELETED_AT_ONCE = 20_000
KEPT_BY_POLICY = 50
BUSY = 20
LONGEST_TASK = timedelta(seconds=91)
HISTORY = timedelta(days=180)
"""Age of the oldest rows, within all limits of housekeeping."""
A_YEAR = timedelta(days=365)
COLLECTIONS = ("documents", "images", "products")
KINDS = (
    TaskKind.SCALING,
    TaskKind.RESTART,
    TaskKind.STOP,
    TaskKind.START,
    TaskKind.VERSION_UPGRADE,
)
SUBJECTS = ("search", "catalog", "support", "images", "reports", "ranking", "chat", "fraud")
PHASES_OF_BACKUP = (
    ("pinning", 0.0, "Pinning all collections at one instant."),
    ("copying", 0.06, "Copying rows."),
    ("sealing", 0.92, "Writing the manifest."),
)
"""Phase of a backup, its begin as a part of the duration, and its message."""
RECENT = timedelta(days=CALENDAR_DAYS)
"""Age of backups with events of their phases."""
COLUMNS_OF_JOB = ("backup_id", "cluster_id", "row_count", "size_bytes", "policy_id")
"""Columns that a job has in common with its backup."""
DAYS_OFF, DAY_DOWN, DAYS_OF_CRASHES = (17, 18), 9, (4, 21)
"""Days ago on which the console was off, some clusters were down, and others crashed."""
STAGES = ("prod", "staging", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """Numbers of rows. Every backup has a job besides the tasks of clusters."""

    clusters: int
    backups: int
    tasks: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """One task or one backup at its place in the history."""

    number: int
    at: datetime
    is_backup: bool
    is_recent: bool


def seed(
    name: str, owner: User, size: Size, *, replaces: Organization | None = None
) -> Organization:
    """Create a demo organization, or fill an existing one anew.

    The rows are written in short transactions, so that other writers do not wait. An interrupted
    call leaves a marked organization, which a further call replaces.
    """
    _enlarge_cache()
    if replaces is not None:
        remove(replaces)
    organization = _organization(name, owner)
    history = _History(organization, owner.get_username(), size)
    with transaction.atomic():
        history.write_clusters()
        history.write_policies()
    for batch in _batches(_moments(size)):
        with transaction.atomic():
            history.write_tasks(batch)
    history.finish()
    update_planner_statistics(after_filling=True)
    return organization


@transaction.atomic
def _organization(name: str, owner: User) -> Organization:
    """Create the marked organization, or return the empty one that `remove` has kept."""
    organization = Organization.objects.filter(name=name).first()
    if organization is None:
        organization = create_organization(name=name, owner=owner)
        Organization.objects.filter(pk=organization.pk).update(is_demo=True)
    Membership.objects.get_or_create(
        organization=organization, user=owner, defaults={"role": Role.OWNER}
    )
    return organization


def _enlarge_cache() -> None:
    """Keep the indexes in SQLite's cache, because ids are random. Lasts as long as the process."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA cache_size = -262144")  # KiB


def remove(organization: Organization) -> None:
    """Delete the rows of a demo organization, in short transactions.

    An organization with audit entries, which cannot be deleted, is kept without members.
    """
    rows_of = {"organization": organization}
    BackupPolicy.objects.filter(**rows_of).update(last_run=None)
    for rows in (
        PolicyRun.objects.filter(**rows_of),
        PolicyDay.objects.filter(**rows_of),
        StorageDay.objects.filter(**rows_of),
        JobCount.objects.filter(**rows_of),
        CollectionWord.objects.filter(**rows_of),
        KnownCollection.objects.filter(**rows_of),
        InventoryScan.objects.filter(**rows_of),
        BackupPolicy.objects.filter(**rows_of),
        SealedPart.objects.filter(backup__organization=organization),
        BackupJob.objects.filter(**rows_of),
        Backup.objects.filter(**rows_of),
        ClusterDay.objects.filter(cluster__organization=organization),
        TaskDay.objects.filter(**rows_of),
        TaskEvent.objects.filter(task__organization=organization),
        Task.objects.filter(**rows_of),
        LoadSample.objects.filter(cluster__organization=organization),
        SearchWord.objects.filter(**rows_of),
        ApiKey.objects.filter(**rows_of),
        Membership.objects.filter(**rows_of),
    ):
        _delete_rows(rows)
    Cluster.objects.filter(**rows_of).delete()
    if not AuditEntry.objects.filter(**rows_of).exists():
        organization.delete()


def _delete_rows(rows: QuerySet[Any]) -> None:
    """Delete without reading the rows. The caller has deleted the rows that refer to them."""
    rows = rows.order_by()
    while rows.filter(pk__in=rows.values("pk")[:DELETED_AT_ONCE])._raw_delete(rows.db):
        pass


class _Table(Generic[M]):
    """Fast insertion of many rows that differ in a few columns.

    `bulk_create` prepares every column of every row, which takes three times as long.
    """

    def __init__(self, example: M) -> None:
        self.fields = [
            field for field in example._meta.concrete_fields if not isinstance(field, AutoField)
        ]
        self.places = {field.attname: place for place, field in enumerate(self.fields)}
        self.row = [self._stored(field, getattr(example, field.attname)) for field in self.fields]
        columns = ", ".join(f'"{field.column}"' for field in self.fields)
        values = ", ".join(["%s"] * len(self.fields))
        table = example._meta.db_table
        self.statement = f'INSERT INTO "{table}" ({columns}) VALUES ({values})'  # noqa: S608

    def insert(self, changes: Iterable[Mapping[str, object]]) -> None:
        """Insert the example once for each mapping of column names to other values."""
        with connection.cursor() as cursor:
            cursor.executemany(self.statement, [self._row(values) for values in changes])

    def _row(self, changes: Mapping[str, object]) -> list[Any]:
        row = self.row.copy()
        for name, value in changes.items():
            place = self.places[name]
            row[place] = self._stored(self.fields[place], value)
        return row

    def _stored(self, field: Field[Any, Any], value: object) -> Any:
        return field.get_db_prep_save(value, connection)


class _History:
    """Writer of the rows of one organization, the oldest first."""

    def __init__(self, organization: Organization, owner: str, size: Size) -> None:
        self.organization = organization
        self.size = size
        self.random = random.Random(organization.name)  # noqa: S311
        self.clusters: list[Cluster] = []
        self.policy_ids: dict[str, str] = {}
        self.backups_left: Counter[str] = Counter()
        """Backups of each cluster that are not written yet."""
        self.tasks = _Table(
            Task(
                organization=organization,
                state=TaskState.SUCCEEDED,
                progress=100,
                message="Done.",
                epoch=1,
                requested_by=owner,
            )
        )
        self.jobs = _Table(
            BackupJob(
                organization=organization,
                job_type=JobKind.BACKUP,
                db_name=DEFAULT_DATABASE,
                collection_names=list(COLLECTIONS),
                is_cleaned_up=True,
            )
        )
        self.backups = _Table(
            Backup(
                organization=organization,
                db_name=DEFAULT_DATABASE,
                status=BackupStatus.AVAILABLE,
                milvus_version=_version(),
            )
        )
        self.words = _Table(SearchWord(organization=organization))
        self.runs = _Table(PolicyRun(organization=organization))
        self.events = _Table(TaskEvent(epoch=1, progress=100))

    def write_clusters(self) -> None:
        created_at = timezone.now() - HISTORY
        subjects = cycle(SUBJECTS)
        self.clusters = Cluster.objects.bulk_create(
            Cluster(
                organization=self.organization,
                name=f"{next(subjects)}-{number:04d}",
                labels={"stage": STAGES[number % len(STAGES)]},
                driver=DRIVER,
                version=_version(),
                compute_units=1 + number % 4,
                max_compute_units=4,
                host="127.0.0.1",
                port=1,
                sealed_token=encrypt(secrets.token_urlsafe(32)),
                created_at=created_at + timedelta(seconds=number),
                **_state_of_cluster(number),
            )
            for number in range(self.size.clusters)
        )
        InventoryScan.objects.bulk_create(
            InventoryScan(
                cluster=cluster,
                organization=self.organization,
                scanned_at=timezone.now(),
                next_scan_at=timezone.now() + A_YEAR,
            )
            for cluster in self.clusters
        )
        KnownCollection.objects.bulk_create(
            KnownCollection(
                organization=self.organization,
                cluster=cluster,
                db_name=DEFAULT_DATABASE,
                name=name,
                first_seen_at=created_at,
            )
            for cluster in self.clusters
            for name in COLLECTIONS
        )
        index_collections(KnownCollection.objects.filter(organization=self.organization))

    def write_policies(self) -> None:
        """Nine of ten clusters have a policy. Each keeps the newest backups of its cluster."""
        planned = timezone.now() + A_YEAR - RECENT  # so that recent backups meet the RPO
        next_run_at = planned.replace(hour=3, minute=0, second=0, microsecond=0)
        numbers = range(self.size.backups)
        self.backups_left.update(self._cluster_of(number).pk for number in numbers)
        policies = BackupPolicy.objects.bulk_create(
            BackupPolicy(
                organization=self.organization,
                cluster=cluster,
                name="yearly",
                schedule_cron=f"0 3 {next_run_at.day} {next_run_at.month} *",
                retention_count=KEPT_BY_POLICY,
                next_run_at=next_run_at,
                created_at=cluster.created_at,
            )
            for number, cluster in enumerate(self.clusters)
            if number % 10 != 9
        )
        index_names([*self.clusters, *policies])
        self.policy_ids = {policy.cluster_id: policy.pk for policy in policies}

    def write_tasks(self, moments: Sequence[Moment]) -> None:
        """Write tasks, backups, jobs and runs of one part of the history."""
        tasks = [self._task(moment) for moment in moments]
        made = [(moment, task) for moment, task in zip(moments, tasks, strict=True)]
        backups = [self._backup(moment, task) for moment, task in made if moment.is_backup]
        self.backups.insert(backups)
        self.words.insert(
            {"object_id": backup["backup_id"], "word": word}
            for backup in backups
            for word in words_of(str(backup["name"]))
        )
        self.tasks.insert(tasks)
        newest = Task.objects.filter(organization=self.organization).order_by("-pk")
        pks = dict(newest.values_list("task_id", "pk")[: len(tasks)])
        self.events.insert(
            event for moment, task in made for event in _events_of(moment, task, pks)
        )
        jobs = [task for moment, task in made if moment.is_backup]
        self._write_jobs(jobs, backups, pks)

    def finish(self) -> None:
        """Set what follows from all rows: last runs and coverage."""
        newest = PolicyRun.objects.filter(policy=OuterRef("pk")).order_by("-planned_at", "-pk")
        BackupPolicy.objects.filter(organization=self.organization).update(
            last_run=Subquery(newest.values("pk")[:1])
        )
        for cluster in self.clusters:
            update_coverage(cluster.pk)
        for policy_id in self.policy_ids.values():
            recount(policy_id)
        keep_count(self.organization.pk)
        keep_days_of(self.organization.pk)
        self.write_days()

    def write_days(self) -> None:
        """Write the kept outcomes and sizes of the last days, as the sweeps would have."""
        now = timezone.now()
        runs = PolicyRun.objects.filter(
            organization=self.organization, planned_at__gt=now - timedelta(days=CALENDAR_DAYS)
        )
        damaged = Q(job__backup__damage_found_by__gt="")
        by_day = runs.order_by().annotate(day=TruncDate("planned_at")).values("policy", "day")
        counted = by_day.annotate(
            good=Count("pk", filter=~damaged), failed=Count("pk", filter=damaged)
        )
        PolicyDay.objects.bulk_create(
            PolicyDay(
                organization=self.organization,
                policy_id=row["policy"],
                day=row["day"],
                good=row["good"],
                failed=row["failed"],
            )
            for row in counted
        )
        for ago in range(KEPT_DAYS):
            measure_day((now - timedelta(days=ago)).date(), organization=self.organization)
        _Table(ClusterDay(counted_until=now)).insert(
            {"cluster_id": cluster.pk, **_availability_of(number, cluster, day)}
            for day in shown_days()
            if (now.date() - day).days not in DAYS_OFF
            for number, cluster in enumerate(self.clusters)
        )

    def _write_jobs(
        self, tasks: Sequence[Row], backups: Sequence[Row], pks: Mapping[str, int]
    ) -> None:
        jobs = [
            {
                "task_id": pks[str(task["task_id"])],
                **{name: backup[name] for name in COLUMNS_OF_JOB},
            }
            for task, backup in zip(tasks, backups, strict=True)
        ]
        self.jobs.insert(jobs)
        self.runs.insert(
            {
                "policy_id": job["policy_id"],
                "job_id": job["task_id"],
                "planned_at": task["created_at"],
                "created_at": task["created_at"],
                "retention_applied_at": task["finished_at"],
            }
            for job, task in zip(jobs, tasks, strict=True)
            if job["policy_id"]
        )

    def _cluster_of(self, number: int) -> Cluster:
        """Every twentieth row belongs to the first cluster, so that its lists are full."""
        return self.clusters[0 if number % BUSY == 0 else number % len(self.clusters)]

    def _policy_of(self, cluster: Cluster) -> str:
        """Return the policy of the next backup. Older ones than it keeps were made by hand."""
        self.backups_left[cluster.pk] -= 1
        is_kept = self.backups_left[cluster.pk] < KEPT_BY_POLICY
        return self.policy_ids.get(cluster.pk, "") if is_kept else ""

    def _id(self, prefix: str) -> str:
        return f"{prefix}-{''.join(self.random.choices(ALPHABET, k=LENGTH))}"

    def _task(self, moment: Moment) -> Row:
        cluster = self._cluster_of(moment.number)
        started_at = moment.at + timedelta(seconds=1)
        finished_at = started_at + timedelta(seconds=self.random.randint(1, 90))
        id_prefix = JOB_ID_PREFIX if moment.is_backup else TASK_ID_PREFIX
        row: Row = {
            "task_id": self._id(id_prefix),
            "id_prefix": id_prefix,
            "subject_id": self._id("bak") if moment.is_backup else cluster.pk,
            "kind": self._kind(moment),
            "lock": cluster.lock,
            "quota_key": cluster.pk,
            "not_before": moment.at,
            "created_at": moment.at,
            "started_at": started_at,
            "updated_at": finished_at,
            "finished_at": finished_at,
        }
        if not moment.is_backup and moment.number % 100 == 99:
            message = "The Milvus process exited right after startup."
            row |= {"state": TaskState.FAILED, "progress": 50, "message": message}
        return row

    def _kind(self, moment: Moment) -> str:
        if moment.is_backup:
            return JobKind.BACKUP
        is_first = moment.number < len(self.clusters)
        return TaskKind.DEPLOYMENT if is_first else KINDS[moment.number % len(KINDS)]

    def _backup(self, moment: Moment, task: Row) -> Row:
        number, cluster = moment.number, self._cluster_of(moment.number)
        rows = 10_000 + number
        collections = [
            {"name": name, "rowCount": rows, "sizeBytes": rows * 512, "parts": 1, "aliases": []}
            for name in COLLECTIONS
        ]
        is_damaged = number % 1000 == 7
        checked_at = moment.at + timedelta(hours=1)
        return {
            "backup_id": task["subject_id"],
            "cluster_id": cluster.pk,
            "name": f"{DEFAULT_DATABASE}-{moment.at:%Y%m%dT%H%M%SZ}-{number:06x}",
            "policy_id": self._policy_of(cluster),
            "pinned": number % 200 == 0,
            "collections": collections,
            "row_count": rows * len(COLLECTIONS),
            "size_bytes": rows * 512 * len(COLLECTIONS),
            "manifest_sha256": f"{self.random.getrandbits(256):064x}",
            "created_at": moment.at,
            "verified_at": None if is_damaged or number % 2 else checked_at,
            "proven_at": None if is_damaged or number % 10 else checked_at,
            "damage_found_by": FOUND_BY_READING if is_damaged else "",
        }


def _version() -> str:
    return get_driver(DRIVER).capabilities.versions[0]


def _state_of_cluster(number: int) -> dict[str, object]:
    if number % 20 == 19:
        return {
            "status": ServiceStatus.STOPPED,
            "condition": Condition.STOPPED,
            "wanted_running": False,
        }
    return {"status": ServiceStatus.RUNNING, "condition": Condition.RUNNING}


def _availability_of(number: int, cluster: Cluster, day: date) -> Row:
    """Return a day of a cluster: most are available, some crashed twice, and few were down."""
    end = min(timezone.now(), start_of(day) + timedelta(days=1))
    seconds, ago = (end - start_of(day)).total_seconds(), (timezone.now().date() - day).days
    row: Row = {"day": day, "counted_until": end}
    if cluster.status == ServiceStatus.STOPPED:
        return row | {"stopped_seconds": seconds}
    lost = min(seconds, float(number % 50 * 20))
    if number % 23 == 5 and ago == DAY_DOWN:
        lost = seconds
    elif number % 7 != 3 or ago not in DAYS_OF_CRASHES:
        return row | {"available_seconds": seconds}
    cause = "The Milvus process crashed."
    return row | {"available_seconds": seconds - lost, "interrupted_seconds": lost, "cause": cause}


def _events_of(moment: Moment, task: Row, pks: Mapping[str, int]) -> list[Row]:
    pk = pks[str(task["task_id"])]
    has_phases = moment.is_backup and moment.is_recent
    return [*(_phases_of(task, pk) if has_phases else []), _end_of(task, pk)]


def _phases_of(task: Row, pk: int) -> list[Row]:
    began: datetime = task["started_at"]  # type: ignore[assignment]
    length: timedelta = task["finished_at"] - began  # type: ignore[operator]
    return [
        {
            "task_id": pk,
            "at": began + part * length,
            "state": TaskState.RUNNING,
            "progress": round(100 * part),
            "phase": phase,
            "message": message,
        }
        for phase, part, message in PHASES_OF_BACKUP
    ]


def _end_of(task: Row, pk: int) -> Row:
    return {
        "task_id": pk,
        "at": task["finished_at"],
        "state": task.get("state", TaskState.SUCCEEDED),
        "message": task.get("message", "Done."),
    }


def _moments(size: Size) -> Iterator[Moment]:
    """Spread tasks and backups evenly over the history, each in its order."""
    end = timezone.now() - LONGEST_TASK  # no task ends in the future
    total = size.tasks + size.backups
    numbers = {True: iter(range(size.backups)), False: iter(range(size.tasks))}
    backups = 0
    for place in range(total):
        is_backup = (place + 1) * size.backups // total > backups
        backups += is_backup
        at = end - HISTORY * (1 - (place + 1) / total)
        yield Moment(
            number=next(numbers[is_backup]),
            at=at,
            is_backup=is_backup,
            is_recent=end - at < RECENT,
        )


def _batches(moments: Iterator[Moment]) -> Iterator[list[Moment]]:
    while batch := list(islice(moments, BATCH_SIZE)):
        yield batch
