from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clusters.urls import ONE_CLUSTER
from vbase_console.dashboard import cluster, creation, operations
from vbase_console.dashboard.activity import ActivityListView
from vbase_console.dashboard.overview import OverviewView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", OverviewView.as_view(), name="overview"),
    path("operations", operations.OperationListView.as_view(), name="operation-list"),
    path(
        "operation-actions/retry",
        operations.OperationBulkRetryView.as_view(),
        name="operation-bulk-retry",
    ),
    path(
        f"{ONE_CLUSTER}/operations",
        operations.ClusterOperationListView.as_view(),
        name="cluster-operation-list",
    ),
    path("tasks", operations.MovedListView.as_view(), name="tasks-moved"),
    path("jobs", operations.MovedListView.as_view(), name="jobs-moved"),
    path(
        f"{ONE_CLUSTER}/tasks",
        operations.ClusterMovedListView.as_view(),
        name="cluster-tasks-moved",
    ),
    path(
        f"{ONE_CLUSTER}/jobs", operations.ClusterMovedListView.as_view(), name="cluster-jobs-moved"
    ),
    path("activity", ActivityListView.as_view(), name="activity-list"),
    path("clusters/new", creation.ClusterCreateView.as_view(), name="cluster-create"),
    path("clusters/attach", creation.ClusterAttachView.as_view(), name="cluster-attach"),
    path(ONE_CLUSTER, cluster.ClusterDetailView.as_view(), name="cluster-detail"),
    path(f"{ONE_CLUSTER}/token", cluster.ClusterTokenView.as_view(), name="cluster-token"),
    path(f"{ONE_CLUSTER}/delete", cluster.ClusterDeleteView.as_view(), name="cluster-delete"),
]
