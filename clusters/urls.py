from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clusters.views import actions, detail, rollouts, tasks
from clusters.views import list as lists

ONE_CLUSTER = "clusters/<slug:cluster_id>"
ONE_TASK = "tasks/<slug:task_id>"
ONE_ROLLOUT = "rollouts/<slug:rollout_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("clusters", lists.ClusterListView.as_view(), name="cluster-list"),
    path(
        f"{ONE_CLUSTER}/token/rotate",
        actions.ClusterRotateView.as_view(),
        name="cluster-token-rotate",
    ),
    path(f"{ONE_CLUSTER}/edit", actions.ClusterEditView.as_view(), name="cluster-edit"),
    path(
        f"{ONE_CLUSTER}/connection",
        actions.ClusterConnectionView.as_view(),
        name="cluster-connection",
    ),
    path(f"{ONE_CLUSTER}/log", detail.ClusterLogView.as_view(), name="cluster-log"),
    path(f"{ONE_CLUSTER}/scale", actions.ClusterScaleView.as_view(), name="cluster-scale"),
    path(f"{ONE_CLUSTER}/upgrade", actions.ClusterUpgradeView.as_view(), name="cluster-upgrade"),
    path(f"{ONE_CLUSTER}/go-back", actions.ClusterGoBackView.as_view(), name="cluster-go-back"),
    path(f"{ONE_CLUSTER}/restart", actions.ClusterRestartView.as_view(), name="cluster-restart"),
    path(f"{ONE_CLUSTER}/stop", actions.ClusterStopView.as_view(), name="cluster-stop"),
    path(f"{ONE_CLUSTER}/start", actions.ClusterStartView.as_view(), name="cluster-start"),
    path("rollouts", rollouts.RolloutListView.as_view(), name="rollout-list"),
    path("rollouts/new", rollouts.RolloutCreateView.as_view(), name="rollout-create"),
    path(ONE_ROLLOUT, rollouts.RolloutDetailView.as_view(), name="rollout-detail"),
    path(f"{ONE_ROLLOUT}/cancel", rollouts.RolloutCancelView.as_view(), name="rollout-cancel"),
    path(ONE_TASK, tasks.TaskDetailView.as_view(), name="task-detail"),
    path(f"{ONE_TASK}/cancel", tasks.TaskCancelView.as_view(), name="task-cancel"),
    path(f"{ONE_TASK}/retry", tasks.TaskRetryView.as_view(), name="task-retry"),
]
