from __future__ import annotations

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from backups.api import examples
from backups.api.backups import pin_operation
from backups.api.base import BackupView
from backups.api.responses import JobResponse
from backups.policies import api_serializers, services
from backups.policies.api_serializers import (
    BackupPolicySerializer,
    CreateBackupPolicyRequest,
    ListPoliciesResponse,
    PolicyBody,
    PolicyPreviewResponse,
    PolicyPreviewSerializer,
    PolicyResponse,
    PreviewBackupPolicyRequest,
    UpdateBackupPolicyRequest,
)
from backups.policies.models import BackupPolicy
from backups.policies.preview import preview
from backups.policies.services import release_backup
from backups.policies.validation import PolicyChanges, PolicySpec
from vbase_console.api.operations import Operation
from vbase_console.api.paging import Paging, page_of
from vbase_console.api.serializers import answer
from vbase_console.organizations.scopes import (
    CREATE_BACKUP_POLICY,
    DELETE_BACKUP_POLICY,
    LIST_BACKUPS,
    UPDATE_BACKUP_POLICY,
)

TAG = "Policies"


class PolicyView(BackupView):
    def policy(self, service_id: str, policy_id: str) -> BackupPolicy:
        """Find a policy under its service, also a deleted one."""
        rows = BackupPolicy.objects.with_last_run()
        return rows.get_visible(self.principal, policy_id=policy_id, cluster__service_id=service_id)

    def policy_changed(self, policy: BackupPolicy) -> Response:
        address = reverse("api-policy", args=[policy.cluster.service_id, policy.policy_id])
        return self.accepted(answer(policy=BackupPolicySerializer.of(policy)), location=address)


class Policies(PolicyView):
    operations = {
        "POST": Operation(
            name="CreateBackupPolicy",
            summary="Create a backup policy",
            tag=TAG,
            scope=CREATE_BACKUP_POLICY,
            body=CreateBackupPolicyRequest,
            answer=PolicyResponse,
            changes=True,
            request_example=api_serializers.CREATE_POLICY,
            answer_example=api_serializers.NEW_POLICY_ANSWER,
        ),
        "GET": Operation(
            name="ListBackupPolicies",
            summary="List the backup policies of a service",
            tag=TAG,
            scope=LIST_BACKUPS,
            query=Paging,
            answer=ListPoliciesResponse,
            answer_example=api_serializers.POLICIES_ANSWER,
        ),
    }
    spec: PolicySpec

    def prepare(self) -> None:
        cluster = self.service(self.kwargs["service_id"])
        self.spec = PolicySpec(**self.given()).with_defaults()
        self.spec.check()
        services.look_for_database(cluster, self.spec.db_name)

    def post(self, request: Request, service_id: str) -> Response:
        """Create a policy, which backs up a service on a schedule and applies retention."""
        policy = services.create_policy(self.service(service_id), self.spec)
        self.call.object_id = policy.policy_id
        return self.policy_changed(policy)

    def get(self, request: Request, service_id: str) -> Response:
        """List the policies of a service, newest first, also of a deleted service."""
        of_service = BackupPolicy.objects.with_last_run().filter(cluster=self.service(service_id))
        chosen, total = page_of(of_service.visible_to(self.principal), self.asked)
        return Response(
            answer(policies=[BackupPolicySerializer.of(row) for row in chosen], total=total)
        )


class OnePolicy(PolicyView):
    operations = {
        "GET": Operation(
            name="GetBackupPolicy",
            summary="Read a backup policy",
            tag=TAG,
            scope=LIST_BACKUPS,
            answer=PolicyResponse,
            answer_example=api_serializers.POLICY_ANSWER,
        ),
        "POST": Operation(
            name="UpdateBackupPolicy",
            summary="Update a backup policy",
            tag=TAG,
            scope=UPDATE_BACKUP_POLICY,
            body=UpdateBackupPolicyRequest,
            answer=PolicyResponse,
            changes=True,
            request_example=api_serializers.UPDATE_POLICY,
            answer_example=api_serializers.POLICY_ANSWER,
        ),
        "DELETE": Operation(
            name="DeleteBackupPolicy",
            summary="Delete a backup policy",
            tag=TAG,
            scope=DELETE_BACKUP_POLICY,
            body=PolicyBody,
            answer=PolicyResponse,
            changes=True,
            answer_example=api_serializers.POLICY_ANSWER,
        ),
    }
    changes: PolicyChanges

    def prepare(self) -> None:
        policy = self.policy(**self.kwargs)
        self.changes = PolicyChanges(**self.given())  # type: ignore[typeddict-item]
        if self.changes.get("db_name", policy.db_name) != policy.db_name:
            services.look_for_database(policy.cluster, self.changes["db_name"])

    def get(self, request: Request, service_id: str, policy_id: str) -> Response:
        """Return one policy, with its next run and the status of its last run."""
        return Response(
            answer(policy=BackupPolicySerializer.of(self.policy(service_id, policy_id)))
        )

    def post(self, request: Request, service_id: str, policy_id: str) -> Response:
        """Change the given fields of a policy. The scheduler follows within seconds."""
        policy = self.policy(service_id, policy_id)
        return self.policy_changed(services.update_policy(policy, **self.changes))

    def delete(self, request: Request, service_id: str, policy_id: str) -> Response:
        """Delete a policy. Its backups are kept, and retention does not apply to them any more."""
        deleted = services.delete_policy(self.policy(service_id, policy_id))
        address = reverse("api-policies", args=[service_id])
        return self.accepted(answer(policy=BackupPolicySerializer.of(deleted)), location=address)


class RunPolicy(PolicyView):
    operations = {
        "POST": Operation(
            name="RunBackupPolicy",
            summary="Run a backup policy now",
            tag=TAG,
            scope=CREATE_BACKUP_POLICY,
            body=PolicyBody,
            answer=JobResponse,
            changes=True,
            starts_task=True,
            answer_example=api_serializers.RUN_ANSWER,
        )
    }

    def post(self, request: Request, service_id: str, policy_id: str) -> Response:
        """Start a run of a policy now, also of a paused one. The schedule does not change."""
        policy = self.policy(service_id, policy_id)
        self.given()
        return self.job_accepted(services.run_now(policy, by=self.principal.label))


class PreviewPolicy(PolicyView):
    operations = {
        "POST": Operation(
            name="PreviewBackupPolicy",
            summary="Preview a backup policy",
            tag=TAG,
            scope=LIST_BACKUPS,
            body=PreviewBackupPolicyRequest,
            answer=PolicyPreviewResponse,
            request_example=api_serializers.PREVIEW_REQUEST,
            answer_example=api_serializers.PREVIEW_ANSWER,
        )
    }

    def post(self, request: Request, service_id: str) -> Response:
        """Preview the runs of a schedule, and the effect of a retention count on the backups of an
        existing policy. Changes nothing.
        """
        self.service(service_id)
        given = self.given()
        policy_id = given.pop("policy_id", "")
        policy = self.policy(service_id, policy_id) if policy_id else None
        sample = {name: given.pop(name) for name in ("start_at", "count") if name in given}
        result = preview(PolicySpec(**given), policy=policy, **sample)
        return Response(answer(**PolicyPreviewSerializer.of(result)))


class ReleaseBackup(BackupView):
    operations = pin_operation(
        "ReleaseBackup", "Release a backup from its retention hold", examples.BACKUP_ANSWER
    )

    def post(self, request: Request, service_id: str, backup_name: str) -> Response:
        """End the retention hold of a backup whose successor contains less. Retention then treats
        the backup like any other.
        """
        backup = self.backup(service_id, backup_name)
        self.given()
        return self.backup_changed(release_backup(backup))
