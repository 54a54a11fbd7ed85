from __future__ import annotations

from typing import ClassVar, Protocol

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import services
from clusters.api import examples
from clusters.api.base import ClusterView
from clusters.api.requests import (
    AttachClusterRequest,
    ClusterRequest,
    CreateClusterRequest,
    DeleteClusterQuery,
    ScaleClusterRequest,
    UpdateClusterRequest,
)
from clusters.api.responses import (
    ClusterConfigurationSerializer,
    ClusterResponse,
    Configuration,
    GetClusterResponse,
    ServiceInfoSerializer,
    Settings,
)
from clusters.attach import (
    CONNECTION_FIELDS,
    ConnectionChange,
    attach_cluster,
    change_connection,
    changes_address,
    plan_connection,
    plan_connection_change,
    require_attached,
)
from clusters.driver import is_operated_elsewhere, versions_of
from clusters.drivers.base import Connection
from clusters.models import Cluster
from clusters.protection import protection_of
from clusters.resources import resources_of
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import MsgRespSerializer, answer
from vbase_console.organizations.scopes import (
    CREATE_CLUSTER,
    DELETE_BACKUP,
    DELETE_CLUSTER,
    GET_CLUSTER,
    SCALE_CLUSTER,
)
from vbase_console.tasks.models import Task

TAG = "Clusters"


class ClusterService(Protocol):
    """Service that needs no arguments beside the cluster."""

    def __call__(self, cluster: Cluster, *, by: str) -> Task: ...


class CreateCluster(ClusterView):
    operations = {
        "POST": Operation(
            name="CreateCluster",
            summary="Create a cluster",
            tag=TAG,
            scope=CREATE_CLUSTER,
            body=CreateClusterRequest,
            answer=ClusterResponse,
            changes=True,
            starts_task=True,
            request_example=examples.CREATE_REQUEST,
            answer_example=examples.CREATE_ANSWER,
        )
    }

    def post(self, request: Request) -> Response:
        """Create a cluster. Its status is CREATING until its DEPLOYMENT task has succeeded."""
        given = self.given()
        cluster, task = services.create_cluster(
            self.principal,
            name=given["name"],
            resources=given.get("resource_config"),
            labels=given.get("labels"),
            deletion_protection=given.get("deletion_protection", False),
        )
        self.call.object_id = cluster.cluster_id
        return self.task_accepted(cluster, task, answer(cluster=ServiceInfoSerializer.of(cluster)))


class AttachCluster(ClusterView):
    operations = {
        "POST": Operation(
            name="AttachCluster",
            summary="Attach a Milvus that runs elsewhere",
            tag=TAG,
            scope=CREATE_CLUSTER,
            body=AttachClusterRequest,
            answer=ClusterResponse,
            changes=True,
            starts_task=True,
            request_example=examples.ATTACH_REQUEST,
            answer_example=examples.ATTACH_ANSWER,
        )
    }
    connection: Connection

    def prepare(self) -> None:
        given = self.given()
        fields = {name: given[name] for name in CONNECTION_FIELDS if given.get(name) is not None}
        self.connection = plan_connection(**fields)

    def post(self, request: Request) -> Response:
        """Attach a Milvus that is operated elsewhere. Its status is CREATING until the DEPLOYMENT
        task has called the server with the token. If this check fails, the task names the reason
        and the cluster is DELETED.
        """
        given = self.given()
        cluster, task = attach_cluster(
            self.principal,
            name=given["name"],
            connection=self.connection,
            labels=given.get("labels"),
            deletion_protection=given.get("deletion_protection", False),
        )
        self.call.object_id = cluster.cluster_id
        return self.task_accepted(cluster, task, answer(cluster=ServiceInfoSerializer.of(cluster)))


class GetCluster(ClusterView):
    operations = {
        "GET": Operation(
            name="GetCluster",
            summary="Read a cluster with its configuration",
            tag=TAG,
            scope=GET_CLUSTER,
            answer=GetClusterResponse,
            answer_example=examples.GET_ANSWER,
        )
    }

    def get(self, request: Request, organization_id: str, cluster_id: str) -> Response:
        """Read a cluster with its resources, backup summary and settings."""
        self.require_organization(organization_id)
        cluster = self.cluster(cluster_id)
        configuration = ClusterConfigurationSerializer.of(configuration_of(cluster))
        return Response(
            answer(cluster=ServiceInfoSerializer.of(cluster), configuration=configuration)
        )


class OneCluster(ClusterView):
    operations = {
        "PATCH": Operation(
            name="UpdateCluster",
            summary="Update a cluster",
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=UpdateClusterRequest,
            answer=ClusterResponse,
            changes=True,
            errors=(503,),
            request_example=examples.UPDATE_REQUEST,
            answer_example=examples.CREATE_ANSWER,
        ),
        "DELETE": Operation(
            name="DeleteCluster",
            summary="Delete a cluster",
            tag=TAG,
            scope=DELETE_CLUSTER,
            body=ClusterRequest,
            query=DeleteClusterQuery,
            answer=MsgRespSerializer,
            changes=True,
            starts_task=True,
            answer_example=examples.message("DELETION"),
        ),
    }

    connection_change: ConnectionChange | None = None

    def prepare(self) -> None:
        """Check a new connection before the transaction, because the server may take seconds."""
        if self.request.method != "PATCH":
            return
        given = self.given()
        fields = {name: given[name] for name in CONNECTION_FIELDS if given.get(name) is not None}
        if not fields:
            return
        cluster = self.cluster(self.kwargs["cluster_id"])
        require_attached(cluster)
        if changes_address(cluster, fields):
            self.call.require(CREATE_CLUSTER)
        self.connection_change = plan_connection_change(cluster, fields)

    def patch(self, request: Request, cluster_id: str) -> Response:
        """Update name, labels or deletion protection, and the connection of an attached cluster.

        Fields that are left out do not change. A new connection is checked before the present one
        is given up. A change of endpoint, port, tls or caCertificate requires token, and a key with
        the scope CreateCluster.
        """
        given = self.given()
        cluster = self.cluster(cluster_id)
        if self.connection_change is not None:
            cluster = change_connection(cluster, self.connection_change)
        names = ("name", "labels", "deletion_protection")
        cluster = services.update_cluster(cluster, **{name: given.get(name) for name in names})
        address = reverse("api-cluster", args=[cluster.organization_id, cluster_id])
        return self.accepted(answer(cluster=ServiceInfoSerializer.of(cluster)), location=address)

    def delete(self, request: Request, cluster_id: str) -> Response:
        """Delete a cluster. Its other tasks are cancelled. Backups are kept by default."""
        cluster = self.cluster(cluster_id)
        self.given()
        if self.asked["delete_backups"]:
            self.call.require(DELETE_BACKUP)
        task, message = services.delete_cluster(
            cluster, by=self.principal.label, delete_backups=self.asked["delete_backups"]
        )
        return self.task_accepted(cluster, task, more=message)


class ScaleCluster(ClusterView):
    operations = {
        "POST": Operation(
            name="ScaleCluster",
            summary="Scale a cluster",
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=ScaleClusterRequest,
            answer=MsgRespSerializer,
            changes=True,
            starts_task=True,
            request_example=examples.SCALE_REQUEST,
            answer_example=examples.message("SCALING"),
        )
    }

    def post(self, request: Request, cluster_id: str) -> Response:
        """Change the resources. A new version makes the task a VERSION_UPGRADE, which backs up
        first and puts the old version and data back if the new one does not answer as before.
        """
        cluster = self.cluster(cluster_id)
        given = self.given()
        task = services.scale_cluster(
            cluster,
            changes=given["resource_config"],
            by=self.principal.label,
            backup_first=given.get("backup_first", True) is not False,
        )
        return self.task_accepted(cluster, task)


class SimpleActionView(ClusterView):
    """Base of requests without arguments beside the cluster."""

    perform: ClassVar[ClusterService]

    def post(self, request: Request, cluster_id: str) -> Response:
        cluster = self.cluster(cluster_id)
        self.given()
        return self.task_accepted(cluster, type(self).perform(cluster, by=self.principal.label))


def simple_operation(name: str, summary: str, kind: str) -> dict[str, Operation]:
    return {
        "POST": Operation(
            name=name,
            summary=summary,
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=ClusterRequest,
            answer=MsgRespSerializer,
            changes=True,
            starts_task=True,
            answer_example=examples.message(kind),
        )
    }


class RestartCluster(SimpleActionView):
    """Restart a cluster. A stopped cluster is started."""

    operations = simple_operation("RestartCluster", "Restart a cluster", "RESTART")
    perform = staticmethod(services.restart_cluster)


class StopCluster(SimpleActionView):
    """Stop a cluster. Data, endpoint and token are kept for the next start."""

    operations = simple_operation("StopCluster", "Stop a cluster", "STOP")
    perform = staticmethod(services.stop_cluster)


class StartCluster(SimpleActionView):
    """Start a stopped cluster."""

    operations = simple_operation("StartCluster", "Start a cluster", "START")
    perform = staticmethod(services.start_cluster)


def configuration_of(cluster: Cluster) -> Configuration:
    resources = resources_of(cluster).as_dict()
    if is_operated_elsewhere(cluster):
        resources = dict.fromkeys(resources) | {"version": cluster.version}
    return Configuration(
        resources=resources,
        backup=protection_of([cluster.cluster_id])[cluster.cluster_id],
        settings=Settings(
            driver=cluster.driver,
            effective_cores=cluster.effective_cores,
            available_versions=versions_of(cluster),
        ),
    )
