"""The yardstick: the smallest DRF view that checks the same key and reads the same cluster."""

from __future__ import annotations

from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clusters.models import Cluster
from vbase_console.organizations.models import ApiKey


class SmallestView(APIView):
    """One query for the key and one for the cluster; no scope, no rule, no envelope, no names of
    our own.
    """

    authentication_classes = []
    permission_classes = []

    def get(self, request: Request, cluster_id: str) -> Response:
        text = get_authorization_header(request).decode().removeprefix("Bearer ")
        key = ApiKey.objects.filter(prefix=text.partition(".")[0], revoked=False).first()
        if key is None or key.has_expired or not key.is_valid(text):
            raise NotAuthenticated
        clusters = Cluster.objects.filter(organization_id=key.organization_id)
        return Response(clusters.filter(cluster_id=cluster_id).values().get())
