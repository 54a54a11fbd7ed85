"""Rollouts: plan, create, list, read and cancel the upgrade of several clusters."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import rollouts
from clusters.api import examples
from clusters.models import Rollout, RolloutStep
from clusters.rollout_plans import plan_rollout
from clusters.states import RolloutState, StepState
from vbase_console.api.fields import Flag, Text, TextOrNull
from vbase_console.api.operations import Operation
from vbase_console.api.paging import PagedResponse, Paging, page_of
from vbase_console.api.serializers import ApiResponse, Body, Output, answer
from vbase_console.api.views import ApiView
from vbase_console.organizations.scopes import GET_CLUSTER, SCALE_CLUSTER

TAG = "Rollouts"


class RolloutRequest(Body):
    """Body of a request about one rollout. The id is also in the URL."""

    rollout_id = Text(required=False, help_text="Default: the id in the URL.")


class CreateRolloutRequest(Body):
    version = Text(help_text="Version that each cluster is changed to.")
    cluster_ids = serializers.ListField(
        child=Text(),
        help_text=f"1 to {rollouts.MAX_CLUSTERS} clusters, in the order of their upgrades.",
    )
    backup_first = Flag(
        required=False, help_text="Back up every database before its change. Default: true."
    )


class RolloutSerializer(Output):
    rollout_id = serializers.CharField()
    organization_id = serializers.CharField()
    version = serializers.CharField()
    backup_first = serializers.BooleanField()
    status = serializers.ChoiceField(choices=RolloutState.choices, source="state")
    requested_by = TextOrNull()
    step_count = serializers.IntegerField(help_text="Number of clusters.")
    succeeded_count = serializers.IntegerField(help_text="Clusters that have the version.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class RolloutStepSerializer(Output):
    position = serializers.IntegerField(help_text="From 1.")
    cluster_id = serializers.CharField()
    name = serializers.CharField(source="cluster.name")
    from_version = serializers.CharField()
    status = serializers.ChoiceField(choices=StepState.choices, source="state")
    task_id = TextOrNull(help_text="Null: no upgrade was requested.")
    message = TextOrNull(help_text="Reason, if the cluster was not upgraded.")
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class RolloutDetailSerializer(RolloutSerializer):
    message = serializers.CharField(help_text="Clusters by state, in words.")
    steps = serializers.ListField(child=RolloutStepSerializer())


@dataclasses.dataclass(frozen=True, kw_only=True)
class RolloutDetail:
    """Rollout with its steps, which are read once."""

    rollout: Rollout
    steps: Sequence[RolloutStep]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rollout, name)

    @property
    def step_count(self) -> int:
        return len(self.steps)

    @property
    def succeeded_count(self) -> int:
        return sum(step.state == StepState.SUCCEEDED for step in self.steps)

    @property
    def message(self) -> str:
        return rollouts.summary_of(self.steps)


class RolloutResponse(ApiResponse):
    rollout = RolloutDetailSerializer()


class ListRolloutsResponse(PagedResponse):
    rollouts = serializers.ListField(child=RolloutSerializer())


class PlannedStepSerializer(Output):
    cluster_id = serializers.CharField(source="cluster.cluster_id")
    name = serializers.CharField(source="cluster.name")
    version = serializers.CharField(source="cluster.version", help_text="Present version.")
    refusal = TextOrNull(help_text="Reason why the cluster cannot be upgraded now; else null.")
    backs_up = serializers.BooleanField(help_text="Every database is backed up first.")
    effects = serializers.ListField(
        child=serializers.CharField(), help_text="Changes that clients notice."
    )
    data_bytes = serializers.IntegerField(allow_null=True)
    needed_bytes = serializers.IntegerField(
        allow_null=True, help_text="Free disk space that the copy of the data needs."
    )
    usual_seconds = serializers.IntegerField(
        allow_null=True,
        help_text="Median duration of past upgrades of clusters of similar size in the "
        "organization; null if there was none.",
    )


class RolloutPlanSerializer(Output):
    version = serializers.CharField()
    versions = serializers.ListField(
        child=serializers.CharField(),
        help_text="Versions that at least one of the clusters can be changed to.",
    )
    needed_bytes = serializers.IntegerField(
        allow_null=True, help_text="At most this much space is needed for all copies."
    )
    free_bytes = serializers.IntegerField(allow_null=True)
    usual_seconds = serializers.IntegerField(
        allow_null=True, help_text="Sum over the clusters; null if one is not known."
    )
    steps = serializers.ListField(child=PlannedStepSerializer())


class RolloutPlanResponse(ApiResponse):
    plan = RolloutPlanSerializer()


ROLLOUT_ID = "roll-5c8f1j4m7p0s3v6y"
REQUEST: dict[str, Any] = {"version": "3.2.2", "clusterIds": [examples.CLUSTER]}
SUMMARY: dict[str, Any] = {
    "rolloutId": ROLLOUT_ID,
    "organizationId": examples.ORGANIZATION,
    "version": "3.2.2",
    "backupFirst": True,
    "status": "RUNNING",
    "requestedBy": "key:ci",
    "stepCount": 1,
    "succeededCount": 0,
    "createdAt": "2026-11-22T09:10:00Z",
    "finishedAt": None,
}
DETAIL: dict[str, Any] = SUMMARY | {
    "message": "Upgraded: 0. Running: product search.",
    "steps": [
        {
            "position": 1,
            "clusterId": examples.CLUSTER,
            "name": "product search",
            "fromVersion": "3.2.1",
            "status": "RUNNING",
            "taskId": examples.TASK,
            "message": None,
            "startedAt": "2026-11-22T09:10:00Z",
            "finishedAt": None,
        }
    ],
}
ANSWER: dict[str, Any] = {"rollout": DETAIL, "response": examples.OK}
LIST_ANSWER: dict[str, Any] = {"rollouts": [SUMMARY], "total": 1, "response": examples.OK}
PLAN_ANSWER: dict[str, Any] = {
    "plan": {
        "version": "3.2.2",
        "versions": ["3.2.2"],
        "neededBytes": 67_108_864,
        "freeBytes": 21_474_836_480,
        "usualSeconds": 14,
        "steps": [
            {
                "clusterId": examples.CLUSTER,
                "name": "product search",
                "version": "3.2.1",
                "refusal": None,
                "backsUp": True,
                "effects": ["Search parameters of sparse vectors are checked."],
                "dataBytes": 52_428_800,
                "neededBytes": 67_108_864,
                "usualSeconds": 14,
            }
        ],
    },
    "response": examples.OK,
}


class RolloutView(ApiView):
    def rollout(self, rollout_id: str) -> Rollout:
        return Rollout.objects.get_visible(self.principal, rollout_id=rollout_id)

    def detail(self, rollout: Rollout) -> dict[str, Any]:
        steps = list(rollout.steps.select_related("cluster").order_by("position"))
        detail = RolloutDetail(rollout=rollout, steps=steps)
        return answer(rollout=RolloutDetailSerializer.of(detail))

    def rollout_accepted(self, rollout: Rollout) -> Response:
        address = reverse("api-rollout", args=[rollout.rollout_id])
        return self.accepted(self.detail(rollout), location=address)


class Rollouts(RolloutView):
    operations = {
        "GET": Operation(
            name="ListRollouts",
            summary="List rollouts",
            tag=TAG,
            scope=GET_CLUSTER,
            query=Paging,
            answer=ListRolloutsResponse,
            answer_example=LIST_ANSWER,
        ),
        "POST": Operation(
            name="CreateRollout",
            summary="Upgrade several clusters",
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=CreateRolloutRequest,
            answer=RolloutResponse,
            changes=True,
            request_example=REQUEST,
            answer_example=ANSWER,
        ),
    }

    def get(self, request: Request) -> Response:
        """List the rollouts of the organization, newest first."""
        visible = Rollout.objects.visible_to(self.principal).with_counts()
        rows, total = page_of(visible, self.asked)
        return Response(answer(rollouts=[RolloutSerializer.of(row) for row in rows], total=total))

    def post(self, request: Request) -> Response:
        """Upgrade clusters in the given order. Each upgrade is a VERSION_UPGRADE task with its own
        backup and its own way back. The rollout stops at the first one that fails or is cancelled.
        """
        given = self.given()
        rollout = rollouts.create_rollout(
            self.principal,
            cluster_ids=given["cluster_ids"],
            version=given["version"],
            backup_first=given.get("backup_first", True) is not False,
        )
        self.call.object_id = rollout.rollout_id
        return self.rollout_accepted(rollout)


class PreviewRollout(RolloutView):
    operations = {
        "POST": Operation(
            name="PreviewRollout",
            summary="Read what a rollout would do",
            tag=TAG,
            scope=GET_CLUSTER,
            body=CreateRolloutRequest,
            answer=RolloutPlanResponse,
            request_example=REQUEST,
            answer_example=PLAN_ANSWER,
        )
    }

    def post(self, request: Request) -> Response:
        """Read what each upgrade would do, what it needs and how long it took for clusters of this
        size, and which clusters would be refused. Changes nothing.
        """
        given = self.given()
        plan = plan_rollout(
            self.principal,
            rollouts.clusters_of(self.principal, given["cluster_ids"]),
            version=given["version"],
            backup_first=given.get("backup_first", True) is not False,
        )
        return Response(answer(plan=RolloutPlanSerializer.of(plan)))


class OneRollout(RolloutView):
    operations = {
        "GET": Operation(
            name="GetRollout",
            summary="Read a rollout",
            tag=TAG,
            scope=GET_CLUSTER,
            answer=RolloutResponse,
            answer_example=ANSWER,
        )
    }

    def get(self, request: Request, rollout_id: str) -> Response:
        """Read a rollout: which clusters were upgraded, which failed, which were not begun."""
        return Response(self.detail(self.rollout(rollout_id)))


class CancelRollout(RolloutView):
    operations = {
        "POST": Operation(
            name="CancelRollout",
            summary="Cancel the upgrades that have not begun",
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=RolloutRequest,
            answer=RolloutResponse,
            changes=True,
            answer_example=ANSWER,
        )
    }

    def post(self, request: Request, rollout_id: str) -> Response:
        """Cancel the upgrades that have not begun. A running one continues; cancel its task to undo
        it.
        """
        rollout = self.rollout(rollout_id)
        self.given()
        by = self.principal.label
        return self.rollout_accepted(rollouts.cancel_rollout(rollout, by=by))
