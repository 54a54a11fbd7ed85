"""Clusters as services of their tenants, and their connection details."""

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
from clusters.models import Cluster
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
        """List the services of an organization, newest first."""
        self.require_organization(organization_id)
        rows = Cluster.objects.visible_to(self.principal)
        status = self.asked.get("status_filter", "")
        if status not in UNSPECIFIED:
            rows = rows.filter(status=status)
        elif not self.asked["include_deleted"]:
            rows = rows.alive()
        page, total = page_of(rows, self.asked)
        return Response(
            answer(services=[ServiceInfoSerializer.of(row) for row in page], total=total)
        )


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
        """Read one service. DELETED services are included."""
        return Response(answer(service=ServiceInfoSerializer.of(self.service(service_id))))


class GetServiceAccess(ClusterView):
    operations = {
        "GET": Operation(
            name="GetServiceAccess",
            summary="Read the endpoint and token of a service",
            tag=TAG,
            scope=GET_SERVICE_ACCESS,
            answer=ServiceAccessResponse,
            reveals=True,
            errors=(400,),
            answer_example=examples.ACCESS_ANSWER,
        )
    }

    def get(self, request: Request, service_id: str) -> Response:
        """Read the endpoint and the token for a Milvus client."""
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
        """Replace the token. Only the new one is valid afterwards. The cluster is not restarted."""
        cluster = self.service(service_id)
        self.given()
        services.require_access(cluster)
        cluster = services.rotate_token(cluster)
        address = reverse("api-service-access", args=[service_id])
        return self.accepted(answer(**ServiceAccessSerializer.of(cluster)), location=address)
