from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import services
from clusters.api import examples
from clusters.api.base import ClusterView
from clusters.api.requests import ClusterRequest
from clusters.upgrade_plans import plan_of
from vbase_console.api.fields import Flag, TextOrNull
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import ApiResponse, MsgRespSerializer, Output, answer
from vbase_console.organizations.scopes import GET_CLUSTER, SCALE_CLUSTER

TAG = "Clusters"


class UpgradeChoiceSerializer(Output):
    version = serializers.CharField()
    effects = serializers.ListField(
        child=serializers.CharField(), help_text="Changes that clients notice."
    )


class RowChangeSerializer(Output):
    collection = serializers.CharField(help_text="`<database>/<collection>`")
    rows_then = serializers.IntegerField(allow_null=True)
    rows_now = serializers.IntegerField(allow_null=True)


class GoBackPlanSerializer(Output):
    version = serializers.CharField()
    size_bytes = serializers.IntegerField(help_text="At most this much disk space is occupied.")
    upgraded_at = serializers.DateTimeField(help_text="Rows written since then would be lost.")
    kept_until = serializers.DateTimeField()
    changes = serializers.ListField(
        child=RowChangeSerializer(),
        allow_null=True,
        help_text="Collections with another number of rows than then; null if the cluster was not "
        "asked, because it does not run.",
    )


class UpgradePlanSerializer(Output):
    version = TextOrNull()
    is_shipped = serializers.BooleanField(
        help_text="False: the console offers this version no longer, and keeps running it."
    )
    choices = serializers.ListField(
        child=UpgradeChoiceSerializer(), help_text="Possible versions, newest first."
    )
    backs_up = serializers.BooleanField(help_text="An upgrade backs up first by default.")
    data_bytes = serializers.IntegerField(allow_null=True)
    needed_bytes = serializers.IntegerField(
        allow_null=True, help_text="Free disk space that the copy of the data needs."
    )
    free_bytes = serializers.IntegerField(allow_null=True)
    usual_seconds = serializers.IntegerField(
        allow_null=True,
        help_text="Median duration of past upgrades of clusters of similar size in the "
        "organization; null if there was none.",
    )
    go_back = GoBackPlanSerializer(
        allow_null=True, help_text="Null if no data of an earlier version is kept."
    )


class UpgradePlanResponse(ApiResponse):
    plan = UpgradePlanSerializer()


class GoBackRequest(ClusterRequest):
    backup_first = Flag(
        required=False, help_text="Back up every database before the change. Default: true."
    )


PLAN_ANSWER: dict[str, Any] = {
    "plan": {
        "version": "3.2.1",
        "isShipped": True,
        "choices": [
            {"version": "3.2.2", "effects": ["Search parameters of sparse vectors are checked."]}
        ],
        "backsUp": True,
        "dataBytes": 52_428_800,
        "neededBytes": 67_108_864,
        "freeBytes": 21_474_836_480,
        "usualSeconds": 14,
        "goBack": {
            "version": "3.1.1",
            "sizeBytes": 52_428_800,
            "upgradedAt": "2026-11-22T09:00:00Z",
            "keptUntil": "2026-11-23T09:00:00Z",
            "changes": [{"collection": "default/images", "rowsThen": 100, "rowsNow": 120}],
        },
    },
    "response": examples.OK,
}


class GetUpgradePlan(ClusterView):
    operations = {
        "GET": Operation(
            name="GetUpgradePlan",
            summary="Read what a change of the version would do",
            tag=TAG,
            scope=GET_CLUSTER,
            answer=UpgradePlanResponse,
            answer_example=PLAN_ANSWER,
        )
    }

    def get(self, request: Request, cluster_id: str) -> Response:
        """Read the possible versions, their effects, what an upgrade needs, and what going back
        would lose.
        """
        plan = plan_of(self.cluster(cluster_id), counts_rows=True)
        return Response(answer(plan=UpgradePlanSerializer.of(plan)))


class GoBackCluster(ClusterView):
    operations = {
        "POST": Operation(
            name="GoBackCluster",
            summary="Go back to the version before the last upgrade",
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=GoBackRequest,
            answer=MsgRespSerializer,
            changes=True,
            starts_task=True,
            answer_example=examples.message("VERSION_UPGRADE"),
        )
    }

    def post(self, request: Request, cluster_id: str) -> Response:
        """Put back version and data from before the last upgrade, while its copy is kept. Rows
        written since the upgrade are lost.
        """
        cluster = self.cluster(cluster_id)
        backup_first = self.given().get("backup_first", True) is not False
        task = services.go_back(cluster, by=self.principal.label, backup_first=backup_first)
        return self.task_accepted(cluster, task)
