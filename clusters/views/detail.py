from __future__ import annotations

from functools import cached_property
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from clusters import services
from clusters.admission import unfinished
from clusters.metrics import WINDOWS, marks_of, series_of
from clusters.models import Cluster
from clusters.protection import is_registered, protection_of
from clusters.upgrade_plans import is_version_shipped, kept_copy_of
from clusters.views import presenters
from clusters.views.availability import picture_of
from clusters.views.connect import connect_examples
from clusters.views.curves import WINDOW_NAMES, curves_of, events_of
from vbase_console.core.errors import (
    ConsoleError,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
)
from vbase_console.organizations.scopes import GET_CLUSTER, GET_SERVICE_ACCESS
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import FINISHED
from vbase_console.web.errors import status_of
from vbase_console.web.views import Page, wants_fragment

RECENT_COUNT = 5


class ClusterPage(Page):
    scopes = {"GET": GET_CLUSTER}
    nav = "clusters"

    @cached_property
    def cluster(self) -> Cluster:
        return Cluster.objects.get_visible(self.principal, cluster_id=self.kwargs["cluster_id"])

    def context(self) -> dict[str, Any]:
        return {"cluster": self.cluster, "back": self.address("cluster-detail")}

    def address(self, name: str) -> str:
        return reverse(name, args=[self.principal.organization_name, self.cluster.cluster_id])

    def to_cluster(self) -> HttpResponseBase:
        return redirect(self.address("cluster-detail"))


class ClusterDetailPage(ClusterPage):
    template_name = "clusters/cluster_detail.html"

    def context(self) -> dict[str, Any]:
        availability = picture_of(self.cluster, self.principal.organization_name)
        return super().context() | self.live() | self.access() | {"availability": availability}

    def live(self) -> dict[str, Any]:
        """Part that changes while a task runs. The page renders it first, polls refresh it."""
        waiting = unfinished(self.cluster)
        tasks = Task.objects.visible_to(self.principal).changes_of(self.cluster.cluster_id)
        ended = tasks.filter(state__in=FINISHED)[:RECENT_COUNT]
        rows = presenters.task_rows(self.principal, [*waiting, *ended], [self.cluster])
        kept = kept_copy_of(self.cluster)
        return {
            "active": rows[: len(waiting)],
            "recent": rows[len(waiting) :],
            "actions": presenters.actions_of(self.principal, self.cluster, waiting, kept),
            "kept": kept,
            "is_version_shipped": is_version_shipped(self.cluster),
            "reload": bool(waiting),
            **self.protection(),
        }

    def access(self, token: str | None = None) -> dict[str, Any]:
        mark = presenters.digest_of_access(self.cluster)
        if not presenters.connectable(self.cluster):
            return {"connectable": False, "access_mark": mark}
        path = reverse("api-service-access", args=[self.cluster.service_id])
        return {
            "connectable": True,
            "access_mark": mark,
            "address": presenters.address_of(self.cluster),
            "examples": connect_examples(
                self.cluster, token=token, access_address=self.request.build_absolute_uri(path)
            ),
        }

    def page(self, *, status: int = 200, **more: Any) -> HttpResponse:
        return super().page(status=status, **self.metrics(), **more)

    def metrics(self) -> dict[str, Any]:
        """Curves of one window. Polls do not refresh them."""
        window = self.request.GET.get("window", "")
        window = window if window in WINDOWS else "1h"
        try:
            series = series_of(self.cluster, window)
        except FailedPrecondition as error:
            return {"unmeasured": self.name_objects(error.message)}
        marks = marks_of(self.principal, self.cluster, window)
        return {
            "windows": WINDOW_NAMES.items(),
            "window": window,
            "curves": curves_of(series, marks, window),
            "events": events_of(marks, self.principal.organization_name),
            "is_measured": any(measured.points for measured in series),
        }

    def protection(self) -> dict[str, Any]:
        """Return nothing without backups, because an empty summary would read as a fact."""
        if not is_registered():
            return {}
        key = self.cluster.cluster_id
        return {"protection": protection_of([key])[key]}


class ClusterTokenPage(ClusterDetailPage):
    """Show the token on request. Each request is audited."""

    scopes = {"GET": GET_SERVICE_ACCESS, "POST": GET_SERVICE_ACCESS}
    action = "GetServiceAccess"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Redirect a reload of the page with the token to the page without it."""
        return self.to_cluster()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        services.require_access(self.cluster)
        token = self.cluster.token
        if wants_fragment(self.request):
            context = {"cluster": self.cluster, "token": token, **self.access(token)}
            return self.fragment("clusters/partials/cluster_access.html", **context)
        return self.page(token=token, reload=False, **self.access(token))

    def error_response(self, error: ConsoleError) -> HttpResponseBase:
        if isinstance(error, NotFound | PermissionDenied) or self.request.htmx:
            return super().error_response(error)
        return self.page(status=status_of(error), refusal=error.message, reload=False)


class ClusterLogView(ClusterPage):
    """End of the cluster's log on request. Each request is audited, because a log may contain the
    tenant's names and rows.
    """

    scopes = {"GET": GET_SERVICE_ACCESS, "POST": GET_SERVICE_ACCESS}
    action = "GetClusterLog"
    template_name = "clusters/cluster_log.html"
    log = ""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Redirect a reload of the page with the log to the page without it."""
        return self.to_cluster()

    def prepare(self) -> None:
        self.log = services.read_log(self.cluster)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.page(log=self.log, max_lines=services.MAX_LOG_LINES)
