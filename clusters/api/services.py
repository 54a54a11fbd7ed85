"""Clusters as their tenants see them: services, and how to connect to one."""

from __future__ import annotations

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import services
from clusters.api import examples
from clusters.api.base import ClusterView
from clusters.api.requests import UNSPECIFIED, ListServicesQuery, ServiceRequest
from clusters.api.responses import (
    ListServicesResponse,
    ServiceAccessResponse,
    ServiceAccessSerializer,
    ServiceInfoSerializer,
    ServiceResponse,
)
from clusters.models import Cluster, ClusterQuerySet
from vbase_console.api.operations import Operation
from vbase_console.api.paging import page_of
from vbase_console.api.serializers import answer
from vbase_console.organizations.scopes import (
    GET_SERVICE,
    GET_SERVICE_ACCESS,
    LIST_SERVICES,
    SCALE_CLUSTER,
)

TAG = "Services"


class ListServices(ClusterView):
    operations = {
        "GET": Operation(
            name="ListServices",
            summary="List the services of an organization",
            tag=TAG,
            scope=LIST_SERVICES,
            query=ListServicesQuery,
            answer=ListServicesResponse,
            answer_example=examples.SERVICES_ANSWER,
        )
    }

    def get(self, request: Request, organization_id: str) -> Response:
        """An organization's services, newest first."""
        self.require_organization(organization_id)
        rows, total = page_of(self._chosen(), self.asked)
        return Response(
            answer(services=[ServiceInfoSerializer.of(row) for row in rows], total=total)
        )

    def _chosen(self) -> ClusterQuerySet:
        rows = Cluster.objects.visible_to(self.principal)
        status = self.asked.get("status_filter", "")
        if status not in UNSPECIFIED:
            return rows.filter(status=status)
        return rows if self.asked["include_deleted"] else rows.alive()


class GetService(ClusterView):
    operations = {
        "GET": Operation(
            name="GetService",
            summary="Read a service",
            tag=TAG,
            scope=GET_SERVICE,
            answer=ServiceResponse,
            answer_example=examples.SERVICE_ANSWER,
        )
    }

    def get(self, request: Request, service_id: str) -> Response:
        """One service, also when it is DELETED."""
        return Response(answer(service=ServiceInfoSerializer.of(self.service(service_id))))


class GetServiceAccess(ClusterView):
    operations = {
        "GET": Operation(
            name="GetServiceAccess",
            summary="Read the endpoint and token of a service",
            tag=TAG,
            scope=GET_SERVICE_ACCESS,
            answer=ServiceAccessResponse,
            errors=(400,),
            answer_example=examples.ACCESS_ANSWER,
        )
    }

    def get(self, request: Request, service_id: str) -> Response:
        """Where to connect with a Milvus client, and the token that it needs."""
        cluster = self.service(service_id)
        services.require_access(cluster)
        return Response(answer(**ServiceAccessSerializer.of(cluster)))


class RotateServiceAccess(ClusterView):
    operations = {
        "POST": Operation(
            name="RotateServiceAccess",
            summary="Replace the token of a service",
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=ServiceRequest,
            answer=ServiceAccessResponse,
            changes=True,
            errors=(503,),
            answer_example=examples.ACCESS_ANSWER,
        )
    }

    def post(self, request: Request, service_id: str) -> Response:
        """A new token, valid at once and alone; the cluster goes on without a restart."""
        cluster = self.service(service_id)
        self.given()
        services.require_access(cluster)
        cluster = services.rotate_token(cluster)
        address = reverse("api-service-access", args=[service_id])
        return self.accepted(answer(**ServiceAccessSerializer.of(cluster)), location=address)
