"""Answers about clusters, as in the documented API. Every field is always present."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clusters.metrics import UNITS, Point
from clusters.models import Cluster
from clusters.protection import Protection
from clusters.states import ServiceStatus, TaskKind
from vbase_console.api.fields import Constant, Labels, TextOrNull
from vbase_console.api.paging import PagedResponse
from vbase_console.api.serializers import ApiResponse, Output
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState


class ServiceInfoSerializer(Output):
    service_id = serializers.CharField()
    cluster_id = serializers.CharField()
    organization_id = serializers.CharField()
    name = serializers.CharField()
    service_type = Constant("CLUSTER")
    service_status = serializers.ChoiceField(choices=ServiceStatus.choices, source="status")
    status_message = TextOrNull()
    drn = serializers.CharField()
    version = TextOrNull(help_text="Null until an attached server has answered.")
    labels = Labels()
    deletion_protection = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ClusterResourceConfigSerializer(Output):
    """Resources. Of an attached cluster only the version is set."""

    version = TextOrNull()
    compute_units = serializers.IntegerField(allow_null=True)
    enable_auto_scaling = serializers.BooleanField(allow_null=True)
    max_compute_units = serializers.IntegerField(allow_null=True)
    enable_replicas = serializers.BooleanField(allow_null=True)
    replicas = serializers.IntegerField(allow_null=True)


class BackupConfigSerializer(Output):
    policy_count = serializers.IntegerField()
    last_backup_at = serializers.DateTimeField(allow_null=True)
    last_proven_at = serializers.DateTimeField(allow_null=True)
    next_backup_at = serializers.DateTimeField(allow_null=True)


class ClusterSettingsSerializer(Output):
    driver = serializers.CharField()
    effective_cores = serializers.IntegerField(
        allow_null=True, help_text="Cores that the cluster has; null until its first observation."
    )
    available_versions = serializers.ListField(child=serializers.CharField())


class ClusterConfigurationSerializer(Output):
    resources = ClusterResourceConfigSerializer()
    backup = BackupConfigSerializer()
    settings = ClusterSettingsSerializer()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    driver: str
    effective_cores: int | None
    available_versions: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Configuration:
    resources: Mapping[str, Any]
    backup: Protection
    settings: Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskOfCluster:
    """A task with its cluster, because a task knows its subject only as text."""

    cluster: Cluster
    task: Task


class ServiceTaskSerializer(Output):
    task_id = serializers.CharField(source="task.task_id")
    service_id = serializers.CharField(source="cluster.service_id")
    cluster_id = serializers.CharField(source="cluster.cluster_id")
    task_type = serializers.ChoiceField(choices=TaskKind.choices, source="task.kind")
    status = serializers.ChoiceField(choices=TaskState.choices, source="task.state")
    progress = serializers.IntegerField(source="task.progress", min_value=0, max_value=100)
    phase = TextOrNull(source="task.phase")
    message = TextOrNull(source="task.message")
    created_at = serializers.DateTimeField(source="task.created_at")
    started_at = serializers.DateTimeField(source="task.started_at", allow_null=True)
    updated_at = serializers.DateTimeField(source="task.updated_at")
    finished_at = serializers.DateTimeField(source="task.finished_at", allow_null=True)


class TaskEventSerializer(Output):
    at = serializers.DateTimeField()
    attempt = serializers.IntegerField(source="epoch", help_text="0: before the first attempt.")
    status = serializers.ChoiceField(choices=TaskState.choices, source="state")
    progress = serializers.IntegerField()
    phase = TextOrNull()
    message = TextOrNull()


class ServiceTaskDetailSerializer(ServiceTaskSerializer):
    events = serializers.ListField(child=TaskEventSerializer(), source="task.events.all")


class ClusterResponse(ApiResponse):
    cluster = ServiceInfoSerializer()


class GetClusterResponse(ClusterResponse):
    configuration = ClusterConfigurationSerializer()


class ServiceResponse(ApiResponse):
    service = ServiceInfoSerializer()


class ListServicesResponse(PagedResponse):
    services = serializers.ListField(child=ServiceInfoSerializer())


class ServiceAccessSerializer(Output):
    endpoint = serializers.CharField(source="host", help_text="A host, without scheme or port.")
    port = serializers.IntegerField()
    db_name = Constant("default")
    token = serializers.CharField(help_text="The Milvus token. Keep it secret.")


class ServiceAccessResponse(ApiResponse, ServiceAccessSerializer):
    pass


class InProgressTasksResponse(ApiResponse):
    tasks = serializers.ListField(child=ServiceTaskSerializer())


class TaskHistoryResponse(PagedResponse):
    tasks = serializers.ListField(child=ServiceTaskSerializer())


class TaskResponse(ApiResponse):
    task = ServiceTaskSerializer()


class TaskDetailResponse(ApiResponse):
    task = ServiceTaskDetailSerializer()


@extend_schema_field(
    {
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "items": {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]},
    }
)
class PointField(serializers.Field[Any, Any, Any, Any]):
    """Pair of a time and a value. Output only."""

    def to_representation(self, value: Point) -> list[object]:
        at, measured = value
        return [TIME.to_representation(at), measured]


TIME = serializers.DateTimeField()


class SeriesSerializer(Output):
    name = serializers.ChoiceField(choices=list(UNITS))
    unit = serializers.CharField()
    points = serializers.ListField(child=PointField(), help_text="[time, value], oldest first.")


class MarkSerializer(Output):
    """Task or job of the cluster."""

    time = serializers.DateTimeField()
    kind = serializers.CharField()
    task_id = serializers.CharField()
    text = serializers.CharField()


class MetricsResponse(ApiResponse):
    series = serializers.ListField(child=SeriesSerializer())
    marks = serializers.ListField(child=MarkSerializer())
