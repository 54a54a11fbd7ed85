"""Jobs of one backup as a story: how it was created, tested, restored and deleted.

A restore into a new cluster is preceded by the deployment of that cluster.
"""

from __future__ import annotations

from collections.abc import Sequence

from backups.models import Backup, BackupJob
from backups.states import JobKind
from backups.views.presenters import jobs_of
from clusters.states import TaskKind
from clusters.views.story import MAX_STEPS, StoryStep, step_of
from clusters.views.timeline import PhaseTimeline, phase_timeline_of
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task


def story_of(principal: Principal, backup: Backup) -> list[StoryStep]:
    """Return the latest jobs of a backup and their deployments, the oldest first."""
    jobs = list(jobs_of(principal).filter(backup=backup)[:MAX_STEPS])
    deployments = _deployments_for(principal, jobs)
    steps = []
    for job in reversed(jobs):
        target = job.cluster if job.job_type == JobKind.RESTORE else None
        if target and (deployment := deployments.get(target.pk)):
            steps.append(step_of(principal, deployment, target))
        steps.append(step_of(principal, job.task, target))
    return steps


def _deployments_for(principal: Principal, jobs: Sequence[BackupJob]) -> dict[str, Task]:
    created = [job.cluster_id for job in jobs if job.fills_new_cluster]
    tasks = Task.objects.visible_to(principal).filter(kind=TaskKind.DEPLOYMENT)
    return {task.subject_id: task for task in tasks.filter(subject_id__in=created)}


def timeline_of_job(job: BackupJob) -> PhaseTimeline | None:
    return phase_timeline_of(job.task, list(job.task.events.all()), rows=job.row_count)
