from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clusters.views import changes, lists, tasks

ONE_CLUSTER = "clusters/<slug:cluster_id>"
ONE_TASK = "tasks/<slug:task_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("clusters", lists.ClusterListView.as_view(), name="cluster-list"),
    path("clusters/new", changes.ClusterCreateView.as_view(), name="cluster-create"),
    path(
        f"{ONE_CLUSTER}/token/rotate",
        changes.ClusterRotateView.as_view(),
        name="cluster-token-rotate",
    ),
    path(f"{ONE_CLUSTER}/edit", changes.ClusterEditView.as_view(), name="cluster-edit"),
    path(f"{ONE_CLUSTER}/scale", changes.ClusterScaleView.as_view(), name="cluster-scale"),
    path(f"{ONE_CLUSTER}/upgrade", changes.ClusterUpgradeView.as_view(), name="cluster-upgrade"),
    path(f"{ONE_CLUSTER}/restart", changes.ClusterRestartView.as_view(), name="cluster-restart"),
    path(f"{ONE_CLUSTER}/stop", changes.ClusterStopView.as_view(), name="cluster-stop"),
    path(f"{ONE_CLUSTER}/start", changes.ClusterStartView.as_view(), name="cluster-start"),
    path(f"{ONE_CLUSTER}/tasks", tasks.ClusterTaskListView.as_view(), name="cluster-task-list"),
    path("tasks", tasks.TaskListView.as_view(), name="task-list"),
    path(ONE_TASK, tasks.TaskDetailView.as_view(), name="task-detail"),
    path(f"{ONE_TASK}/progress", tasks.TaskProgressView.as_view(), name="task-progress"),
    path(f"{ONE_TASK}/cancel", tasks.TaskCancelView.as_view(), name="task-cancel"),
    path(f"{ONE_TASK}/retry", tasks.TaskRetryView.as_view(), name="task-retry"),
]
