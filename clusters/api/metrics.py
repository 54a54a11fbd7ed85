from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api import examples
from clusters.api.base import ClusterView
from clusters.api.requests import MetricsQuery
from clusters.api.responses import MarkSerializer, MetricsResponse, SeriesSerializer
from clusters.metrics import marks_of, series_of
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import answer
from vbase_console.organizations.scopes import GET_CLUSTER


class GetClusterMetrics(ClusterView):
    operations = {
        "GET": Operation(
            name="GetClusterMetrics",
            summary="Read the metrics of a cluster",
            tag="Clusters",
            scope=GET_CLUSTER,
            query=MetricsQuery,
            answer=MetricsResponse,
            errors=(400,),
            answer_example=examples.METRICS_ANSWER,
        )
    }

    def get(self, request: Request, cluster_id: str) -> Response:
        """Read CPU, memory, rows, disk and requests: one point a minute for the windows 1h and 24h,
        one an hour for 7d and 30d. Times without a measurement have no point.
        """
        cluster, window = self.cluster(cluster_id), self.asked["window"]
        series = [SeriesSerializer.of(item) for item in series_of(cluster, window)]
        marks = [MarkSerializer.of(task) for task in marks_of(self.principal, cluster, window)]
        return Response(answer(series=series, marks=marks))
