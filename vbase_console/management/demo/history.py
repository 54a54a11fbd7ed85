"""Writer of tasks, backups, jobs and policy runs of the sample data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db.models import Model

from backups.models import Backup, BackupJob
from backups.names import DEFAULT_DATABASE
from backups.policies.models import PolicyRun
from backups.states import BackupStatus, JobKind
from vbase_console.management.demo.clusters import COLLECTIONS, milvus_version
from vbase_console.management.demo.events import events_of
from vbase_console.management.demo.moments import Moment
from vbase_console.management.demo.rows import SampleRows
from vbase_console.management.demo.table import Row, SampleTable
from vbase_console.organizations.models import Organization
from vbase_console.search.models import SearchWord
from vbase_console.search.words import words_of
from vbase_console.tasks.models import Task, TaskEvent
from vbase_console.tasks.states import TaskState

COLUMNS_OF_JOB = ("backup_id", "cluster_id", "row_count", "size_bytes", "policy_id")
"""Columns that a job has in common with its backup."""


class History:
    """Writer of the rows of one organization, the oldest first."""

    def __init__(self, organization: Organization, requested_by: str, rows: SampleRows) -> None:
        self.organization = organization
        self.rows = rows
        self.tables = _tables(organization, requested_by)

    def write(self, moments: Sequence[Moment]) -> None:
        """Write tasks, backups, jobs and runs of one part of the history."""
        tasks = [self.rows.task(moment) for moment in moments]
        made = [(moment, task) for moment, task in zip(moments, tasks, strict=True)]
        backups = [self.rows.backup(moment, task) for moment, task in made if moment.is_backup]
        self.tables[Backup].insert(backups)
        self.tables[SearchWord].insert(
            {"object_id": backup["backup_id"], "word": word}
            for backup in backups
            for word in words_of(str(backup["name"]))
        )
        self.tables[Task].insert(tasks)
        newest = Task.objects.filter(organization=self.organization).order_by("-pk")
        pks = dict(newest.values_list("task_id", "pk")[: len(tasks)])
        self.tables[TaskEvent].insert(
            event for moment, task in made for event in events_of(moment, task, pks)
        )
        self._write_jobs([task for moment, task in made if moment.is_backup], backups, pks)

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
        self.tables[BackupJob].insert(jobs)
        self.tables[PolicyRun].insert(
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


def _tables(organization: Organization, requested_by: str) -> dict[type[Model], SampleTable]:
    examples = (
        Task(
            organization=organization,
            state=TaskState.SUCCEEDED,
            progress=100,
            message="Done.",
            epoch=1,
            requested_by=requested_by,
        ),
        BackupJob(
            organization=organization,
            job_type=JobKind.BACKUP,
            db_name=DEFAULT_DATABASE,
            collection_names=list(COLLECTIONS),
            is_cleaned_up=True,
        ),
        Backup(
            organization=organization,
            db_name=DEFAULT_DATABASE,
            status=BackupStatus.AVAILABLE,
            milvus_version=milvus_version(),
        ),
        SearchWord(organization=organization),
        PolicyRun(organization=organization),
        TaskEvent(epoch=1, progress=100),
    )
    return {type(example): SampleTable(example) for example in examples}
