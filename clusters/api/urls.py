"""URLs under /v1/vbase. Literal paths come before patterns that begin with an id."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clusters.api import clusters, metrics, rollouts, services, tasks, upgrades

ONE = "clusters/<str:cluster_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("clusters", clusters.CreateCluster.as_view(), name="api-clusters"),
    path("clusters/attach", clusters.AttachCluster.as_view(), name="api-cluster-attach"),
    path(ONE, clusters.OneCluster.as_view(), name="api-cluster-change"),
    path(f"{ONE}/scale", clusters.ScaleCluster.as_view(), name="api-cluster-scale"),
    path(f"{ONE}/restart", clusters.RestartCluster.as_view(), name="api-cluster-restart"),
    path(f"{ONE}/stop", clusters.StopCluster.as_view(), name="api-cluster-stop"),
    path(f"{ONE}/start", clusters.StartCluster.as_view(), name="api-cluster-start"),
    path(f"{ONE}/metrics", metrics.GetClusterMetrics.as_view(), name="api-cluster-metrics"),
    path(f"{ONE}/upgrade", upgrades.GetUpgradePlan.as_view(), name="api-cluster-upgrade"),
    path(f"{ONE}/go-back", upgrades.GoBackCluster.as_view(), name="api-cluster-go-back"),
    path(f"{ONE}/task", tasks.TaskHistory.as_view(), name="api-cluster-tasks"),
    path(
        f"{ONE}/task/in-progress",
        tasks.InProgressTasks.as_view(),
        name="api-cluster-tasks-in-progress",
    ),
    path(f"{ONE}/task/<str:task_id>", tasks.OneTask.as_view(), name="api-task"),
    path(f"{ONE}/task/<str:task_id>/cancel", tasks.CancelTask.as_view(), name="api-task-cancel"),
    path(f"{ONE}/task/<str:task_id>/retry", tasks.RetryTask.as_view(), name="api-task-retry"),
    path("rollouts", rollouts.Rollouts.as_view(), name="api-rollouts"),
    path("rollouts/plan", rollouts.PreviewRollout.as_view(), name="api-rollout-plan"),
    path("rollouts/<str:rollout_id>", rollouts.OneRollout.as_view(), name="api-rollout"),
    path(
        "rollouts/<str:rollout_id>/cancel",
        rollouts.CancelRollout.as_view(),
        name="api-rollout-cancel",
    ),
    path("list/<str:organization_id>", services.ListServices.as_view(), name="api-services"),
    path(
        "<str:organization_id>/clusters/<str:cluster_id>",
        clusters.GetCluster.as_view(),
        name="api-cluster",
    ),
    path("<str:service_id>", services.GetService.as_view(), name="api-service"),
    path("<str:service_id>/access", services.GetServiceAccess.as_view(), name="api-service-access"),
    path(
        "<str:service_id>/access/rotate",
        services.RotateServiceAccess.as_view(),
        name="api-service-access-rotate",
    ),
]
