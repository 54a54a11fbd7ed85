"""Everything that happened to one cluster, newest first, merged from several tables.

Each source continues after the last of its own rows that was shown, through an index. So page 1,000
costs as much as page 1, and no row is skipped or shown twice.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.urls import reverse

from backups.models import Backup
from backups.policies.models import BackupPolicy, PolicyRun
from clusters.models import Cluster
from vbase_console.core.labels import words_of_action
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task, TaskEvent
from vbase_console.web.differences import Difference, differences_of
from vbase_console.web.templatetags.console import words
from vbase_console.web.wording import reason_of

PAGE_SIZE = 50
MAX_EVENTS = 400
"""Events that one page shows with its tasks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoryEntry:
    at: datetime
    kind: str
    title: str
    address: str
    state: str = ""
    is_task: bool = False
    """A running task is in progress, unlike a running cluster."""
    message: str = ""
    by: str = ""
    differences: list[Difference] = dataclasses.field(default_factory=list)
    events: list[TaskEvent] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StorySource:
    name: str
    """Name of its position in the address."""
    rows: QuerySet[Any]
    time_field: str
    entry_of: Callable[[Any], StoryEntry]
    is_in_key_order: bool = False
    """True if the index has the key alone: the keys of tasks grow with their times."""

    def after(self, position: str) -> QuerySet[Any]:
        order = ["-pk"] if self.is_in_key_order else [f"-{self.time_field}", "-pk"]
        rows = self.rows.order_by(*order)
        at, _, key = position.partition("~")
        if not key:
            return rows
        if self.is_in_key_order:
            return rows.filter(pk__lt=key)
        time = datetime.fromisoformat(at)
        older = Q(**{f"{self.time_field}__lt": time})
        return rows.filter(older | Q(**{self.time_field: time}, pk__lt=key))

    def position_of(self, row: Model) -> str:
        return f"{getattr(row, self.time_field).isoformat()}~{row.pk}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoryPage:
    entries: list[StoryEntry]
    older: dict[str, str]
    """Positions of the next page. Empty on the last one."""

    @property
    def older_query(self) -> str:
        return urlencode(self.older)


def story_of(cluster: Cluster, positions: Mapping[str, str]) -> StoryPage:
    """Read one page. Raises ValueError for positions that no page has given."""
    sources = _sources_of(cluster)

    def read(source: StorySource) -> Iterator[tuple[datetime, StorySource, Any]]:
        for row in source.after(positions.get(source.name, ""))[: PAGE_SIZE + 1]:
            yield getattr(row, source.time_field), source, row

    merged = heapq.merge(*map(read, sources), key=lambda item: item[0], reverse=True)
    shown = list(islice(merged, PAGE_SIZE + 1))
    has_more, shown = len(shown) > PAGE_SIZE, shown[:PAGE_SIZE]
    after = {source.name: positions[source.name] for source in sources if source.name in positions}
    after |= {source.name: source.position_of(row) for _, source, row in shown}
    entries = [source.entry_of(row) for _, source, row in shown]
    _add_events(
        {
            row.pk: entry
            for (_, _, row), entry in zip(shown, entries, strict=True)
            if isinstance(row, Task)
        }
    )
    return StoryPage(entries=entries, older=after if has_more else {})


def _sources_of(cluster: Cluster) -> list[StorySource]:
    ids = [cluster.cluster_id, cluster.service_id]
    policies = list(BackupPolicy.objects.filter(cluster=cluster).values_list("pk", flat=True))
    skipped = PolicyRun.objects.filter(policy__in=policies, job=None).select_related("policy")
    return [
        StorySource(
            name="tasks",
            rows=Task.objects.filter(
                quota_key=cluster.cluster_id, organization=cluster.organization
            ),
            time_field="created_at",
            entry_of=_task,
            is_in_key_order=True,
        ),
        StorySource(
            name="backups",
            rows=Backup.objects.present().filter(
                cluster=cluster, organization=cluster.organization
            ),
            time_field="created_at",
            entry_of=_backup,
        ),
        StorySource(name="runs", rows=skipped, time_field="planned_at", entry_of=_skipped_run),
        StorySource(
            name="calls",
            rows=AuditEntry.objects.filter(object_id__in=ids),
            time_field="at",
            entry_of=_call,
        ),
    ]


def _task(task: Task) -> StoryEntry:
    return StoryEntry(
        at=task.created_at,
        kind="Task" if task.id_prefix == "task" else "Job",
        title=words(task.kind),
        address=reverse("admin:tasks_task_change", args=[task.pk]),
        state=task.state,
        is_task=True,
        message=task.message,
        by=task.requested_by or "the console",
    )


def _backup(backup: Backup) -> StoryEntry:
    return StoryEntry(
        at=backup.created_at,
        kind="Backup",
        title=backup.name,
        address=reverse("admin:backups_backup_change", args=[backup.pk]),
        state="DAMAGED" if backup.is_damaged else backup.status,
        message=" ".join(backup.omissions),
    )


def _skipped_run(run: PolicyRun) -> StoryEntry:
    return StoryEntry(
        at=run.planned_at,
        kind="Policy run",
        title=run.policy.name,
        address=reverse("admin:policies_policyrun_change", args=[run.pk]),
        state="SKIPPED",
        message=run.skip_reason,
    )


def _call(entry: AuditEntry) -> StoryEntry:
    return StoryEntry(
        at=entry.at,
        kind="Activity",
        title=words_of_action(entry.action),
        address=reverse("admin:organizations_auditentry_change", args=[entry.pk]),
        state=entry.outcome,
        message=reason_of(entry.detail),
        differences=differences_of(entry.changes),
        by=entry.principal,
    )


def _add_events(entries: Mapping[int, StoryEntry]) -> None:
    events = TaskEvent.objects.filter(task__in=list(entries)).order_by("-pk")[:MAX_EVENTS]
    for event in reversed(events):
        entries[event.task_id].events.append(event)
