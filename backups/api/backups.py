from __future__ import annotations

from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api import examples
from backups.api.base import BackupView
from backups.api.listing import jobs_page
from backups.api.requests import (
    BackupBody,
    CreateBackupRequest,
    ListBackupsQuery,
    RestoreBackupRequest,
)
from backups.api.responses import (
    BackupResponse,
    BackupSerializer,
    JobResponse,
    ListBackupsResponse,
    PreflightResult,
    PreflightSerializer,
    RestoreResponse,
    TarAnswer,
)
from backups.models import Backup
from backups.services.backups import (
    BackupRequest,
    delete_backup,
    plan_backup,
    set_pinned,
    verify_backup,
)
from backups.services.downloads import MEDIA_TYPE, begin_download
from backups.services.new_clusters import (
    NewCluster,
    RestoreIntoNewCluster,
    Restores,
    plan_into_new_cluster,
    preview_into_new_cluster,
)
from backups.services.restores import (
    RestoreRequest,
    plan_restore,
    preview_restore,
    restore_options,
    tasks_before,
)
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import MsgRespSerializer, accepted, answer
from vbase_console.organizations.scopes import (
    CREATE_BACKUP,
    CREATE_CLUSTER,
    DELETE_BACKUP,
    GET_SERVICE_ACCESS,
    LIST_BACKUPS,
    RESTORE_BACKUP,
)

TAG = "Backups"


class Backups(BackupView):
    operations = {
        "POST": Operation(
            name="CreateBackup",
            summary="Create a backup",
            tag=TAG,
            scope=CREATE_BACKUP,
            body=CreateBackupRequest,
            answer=JobResponse,
            changes=True,
            starts_task=True,
            request_example=examples.CREATE_REQUEST,
            answer_example=examples.JOB_ANSWER,
        ),
        "GET": Operation(
            name="ListBackups",
            summary="List the backup jobs of a service",
            tag=TAG,
            scope=LIST_BACKUPS,
            query=ListBackupsQuery,
            answer=ListBackupsResponse,
            answer_example=examples.JOBS_ANSWER,
        ),
    }
    planned: BackupRequest

    def prepare(self) -> None:
        cluster = self.service(self.kwargs["service_id"])
        self.planned = plan_backup(cluster, **self.given())
        self.call.object_id = self.planned.backup.name

    def post(self, request: Request, service_id: str) -> Response:
        """Start a job that backs up collections of a database, all as of one instant."""
        return self.job_accepted(self.planned.submit(by=self.principal.label))

    def get(self, request: Request, service_id: str) -> Response:
        """List the backup jobs of a service, newest first. A restore is a job of its target."""
        cluster = self.service(service_id)
        return Response(jobs_page(self.jobs().filter(cluster=cluster), self.asked))


class RestoreBackup(BackupView):
    operations = {
        "POST": Operation(
            name="RestoreBackup",
            summary="Restore a backup",
            tag=TAG,
            scope=RESTORE_BACKUP,
            scope_rule="RestoreBackup, and CreateCluster with newCluster",
            body=RestoreBackupRequest,
            answer=RestoreResponse,
            changes=True,
            starts_task=True,
            request_example=examples.RESTORE_REQUEST,
            more_request_examples={"Into a new cluster": examples.RESTORE_INTO_NEW_REQUEST},
            answer_example=examples.RESTORE_ANSWER,
        )
    }
    preflight: dict[str, Any] | None = None
    planned: RestoreRequest
    planned_cluster: RestoreIntoNewCluster | None = None

    def prepare(self) -> None:
        service = self.service(self.kwargs["service_id"])
        given = self.given()
        name, new = given.pop("backup_name"), given.pop("new_cluster", None)
        is_dry_run = given.pop("dry_run", False)
        if new is not None:
            self.call.require(CREATE_CLUSTER)
            backup = self.backup(service.service_id, name)
            self.prepare_new_cluster(new, [(backup, restore_options(backup, **given))], is_dry_run)
            return
        backups = Backup.objects.present().select_related("cluster")
        backup = backups.get_visible(self.principal, name=name)
        if is_dry_run:
            result = preview_restore(backup, service, **given)
            waits_for = tasks_before(service).visible_to(self.principal)
            self.preflight = PreflightSerializer.of(
                PreflightResult(preflight=result, waits_for=waits_for)
            )
        else:
            self.planned = plan_restore(backup, service, **given)

    def prepare_new_cluster(
        self, new: dict[str, Any], restores: Restores, is_dry_run: bool
    ) -> None:
        cluster = NewCluster(
            name=new["name"],
            resources=new.get("resource_config") or {},
            labels=new.get("labels") or {},
        )
        if is_dry_run:
            (result,) = preview_into_new_cluster(self.principal, cluster, restores)
            self.preflight = PreflightSerializer.of(PreflightResult(preflight=result, waits_for=()))
        else:
            self.planned_cluster = plan_into_new_cluster(self.principal, cluster, restores)

    def post(self, request: Request, service_id: str) -> Response:
        """Start a job that restores collections of a backup into this service.

        Existing collections stay unchanged until all rows are inserted, compared and indexed. With
        `dryRun` the restore is only previewed. With `newCluster` a cluster is created and filled,
        and the service is that of the backup; if the restore fails or is cancelled, the new cluster
        is removed.
        """
        if self.preflight is not None:
            self.call.detail = "dryRun"
            return Response(answer(preflight=self.preflight))
        if self.planned_cluster is None:
            return self.job_accepted(self.planned.submit(by=self.principal.label))
        (job,) = self.planned_cluster.submit(self.principal)
        self.call.object_id = job.cluster.service_id
        self.call.record_also("CreateCluster", job.cluster_id)
        return self.job_accepted(job)


class OneBackup(BackupView):
    operations = {
        "GET": Operation(
            name="GetBackup",
            summary="Read a backup",
            tag=TAG,
            scope=LIST_BACKUPS,
            answer=BackupResponse,
            answer_example=examples.BACKUP_ANSWER,
        ),
        "DELETE": Operation(
            name="DeleteBackup",
            summary="Delete a backup",
            tag=TAG,
            scope=DELETE_BACKUP,
            body=BackupBody,
            answer=MsgRespSerializer,
            changes=True,
            starts_task=True,
            answer_example=examples.DELETE_ANSWER,
        ),
    }

    def get(self, request: Request, service_id: str, backup_name: str) -> Response:
        """Return one backup, with its collections, its last verification and its last proof."""
        return Response(answer(backup=BackupSerializer.of(self.backup(service_id, backup_name))))

    def delete(self, request: Request, service_id: str, backup_name: str) -> Response:
        """Start the deletion of a backup, which cannot be restored from now on.

        Its files are deleted when the job in Operation-Id has succeeded.
        """
        backup = self.backup(service_id, backup_name)
        self.given()
        job = delete_backup(backup, by=self.principal.label)
        return self.job_accepted(
            job, accepted(f"{job.task.task_id} ({job.job_type}) was accepted.")
        )


class DownloadBackup(BackupView):
    operations = {
        "GET": Operation(
            name="DownloadBackup",
            summary="Download a backup as a tar",
            tag=TAG,
            scope=RESTORE_BACKUP,
            scope_rule="RestoreBackup and GetVBaseServiceAccess",
            answer=TarAnswer,
            media_type=MEDIA_TYPE,
            reveals=True,
            errors=(400, 409, 429),
        )
    }

    def get(self, request: Request, service_id: str, backup_name: str) -> HttpResponseBase:
        """Download the archive's directory. The connection is cut if a file is not what the
        manifest lists. The backup cannot be deleted meanwhile.
        """
        self.call.require(GET_SERVICE_ACCESS)
        return begin_download(self.backup(service_id, backup_name)).response()


class VerifyBackup(BackupView):
    operations = {
        "POST": Operation(
            name="VerifyBackup",
            summary="Verify a backup",
            tag=TAG,
            scope=CREATE_BACKUP,
            body=BackupBody,
            answer=JobResponse,
            changes=True,
            starts_task=True,
            answer_example=examples.VERIFY_ANSWER,
        )
    }

    def post(self, request: Request, service_id: str, backup_name: str) -> Response:
        """Start a job that reads every byte of the archive. It fails and names a damaged file."""
        backup = self.backup(service_id, backup_name)
        self.given()
        return self.job_accepted(verify_backup(backup, by=self.principal.label))


class Pinning(BackupView):
    pinned: ClassVar[bool]

    def post(self, request: Request, service_id: str, backup_name: str) -> Response:
        backup = self.backup(service_id, backup_name)
        self.given()
        return self.backup_changed(set_pinned(backup, pinned=self.pinned))


def pin_operation(name: str, summary: str, example: dict[str, Any]) -> dict[str, Operation]:
    return {
        "POST": Operation(
            name=name,
            summary=summary,
            tag=TAG,
            scope=CREATE_BACKUP,
            body=BackupBody,
            answer=BackupResponse,
            changes=True,
            answer_example=example,
        )
    }


class PinBackup(Pinning):
    """Pin a backup. Users and retention cannot delete a pinned backup."""

    operations = pin_operation("PinBackup", "Pin a backup", examples.PIN_ANSWER)
    pinned = True


class UnpinBackup(Pinning):
    """Unpin a backup, so that users and retention can delete it."""

    operations = pin_operation("UnpinBackup", "Unpin a backup", examples.BACKUP_ANSWER)
    pinned = False
