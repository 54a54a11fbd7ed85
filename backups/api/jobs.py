from __future__ import annotations

from functools import partial

from rest_framework.request import Request
from rest_framework.response import Response

from backups.api import examples
from backups.api.base import BackupView
from backups.api.listing import jobs_page
from backups.api.requests import JobBody, ListBackupByOrgRequest
from backups.api.responses import (
    BackupJobDetailSerializer,
    JobDetailResponse,
    JobResponse,
    ListBackupsResponse,
)
from backups.figures.job_counts import count_jobs
from backups.models import BackupJob
from backups.services.jobs import cancel_job, retry_job
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import answer
from vbase_console.organizations.scopes import LIST_BACKUPS
from vbase_console.tasks.registry import job_for

TAG = "Backups"


class ListBackupByOrg(BackupView):
    operations = {
        "POST": Operation(
            name="ListBackupByOrg",
            summary="List the backup jobs of an organization",
            tag=TAG,
            scope=LIST_BACKUPS,
            body=ListBackupByOrgRequest,
            answer=ListBackupsResponse,
            request_example=examples.LIST_REQUEST,
            answer_example=examples.JOBS_ANSWER,
        )
    }

    def post(self, request: Request, organization_id: str) -> Response:
        """List the backup jobs of all services of an organization, newest first."""
        self.require_organization(organization_id)
        count = partial(count_jobs, self.principal.organization_id)
        return Response(jobs_page(self.jobs(), self.given(), count))


class OneJob(BackupView):
    operations = {
        "GET": Operation(
            name="GetJob",
            summary="Read a backup job",
            tag=TAG,
            scope=LIST_BACKUPS,
            answer=JobDetailResponse,
            answer_example=examples.JOB_DETAIL_ANSWER,
        )
    }

    def get(self, request: Request, job_id: str) -> Response:
        """Return one job with its events."""
        job = self.jobs().get_visible(self.principal, task__task_id=job_id)
        return Response(answer(job=BackupJobDetailSerializer.of(job)))


class JobRequest(BackupView):
    """Base of the requests about a job. They require the scope of the job's kind."""

    def post(self, request: Request, job_id: str) -> Response:
        job = self.jobs().get_visible(self.principal, task__task_id=job_id)
        self.call.require(job_for(job.job_type).scope)
        self.given()
        return self.job_accepted(self.perform(job))

    def perform(self, job: BackupJob) -> BackupJob:
        raise NotImplementedError


def request_operation(name: str, summary: str) -> dict[str, Operation]:
    return {
        "POST": Operation(
            name=name,
            summary=summary,
            tag=TAG,
            scope_rule="the scope of the job's kind",
            body=JobBody,
            answer=JobResponse,
            changes=True,
            starts_task=True,
            answer_example=examples.JOB_ANSWER,
        )
    }


class CancelJob(JobRequest):
    """Cancel a job. A waiting job ends at once. A running job stops at its next safe point, and its
    changes are undone. A deletion cannot be cancelled.
    """

    operations = request_operation("CancelJob", "Cancel a backup job")

    def perform(self, job: BackupJob) -> BackupJob:
        return cancel_job(job, by=self.principal.label)


class RetryJob(JobRequest):
    """Retry a failed or cancelled job. The answer is a new job."""

    operations = request_operation("RetryJob", "Retry a backup job")

    def perform(self, job: BackupJob) -> BackupJob:
        return retry_job(job, by=self.principal.label)
