"""Support staff may retry and cancel, through the services, and history says that it was them."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpResponse
from django.test import Client

from clusters import services
from clusters.models import Cluster
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]


def act(client: Client, action: str, task: Task) -> HttpResponse:
    form = {"action": action, "_selected_action": [str(task.pk)]}
    return client.post("/admin/tasks/task/", form, follow=True)  # type: ignore[return-value]


def test_it_retries_a_failed_task_as_support(support: Client, failed_task: Task) -> None:
    act(support, "retry", failed_task)
    again = Task.objects.get(retry_of=failed_task.task_id)
    assert (again.kind, again.requested_by) == ("RESTART", "support:sam@example.com")


def test_it_cancels_a_waiting_task_as_support(support: Client, make_cluster: MakeCluster) -> None:
    task = services.stop_cluster(make_cluster(), by="alice@example.com")
    act(support, "cancel", task)
    task.refresh_from_db()
    assert task.state == "CANCELLED"
    assert "support:sam@example.com" in task.message


def test_a_tasks_own_page_offers_the_same_and_is_where_the_answer_is_shown(
    support: Client, failed_task: Task
) -> None:
    address = f"/admin/tasks/task/{failed_task.pk}/change/"
    assert 'name="action" value="retry"' in support.get(address).content.decode()
    form = {"action": "retry", "_selected_action": str(failed_task.pk), "back": "object"}
    page = support.post("/admin/tasks/task/", form, follow=True)
    again = Task.objects.get(retry_of=failed_task.task_id)
    assert page.request["PATH_INFO"] == address
    assert again.task_id in page.content.decode()
    assert AuditEntry.objects.get().detail == again.task_id


def test_an_id_is_said_as_it_is_written(support: Client, failed_task: Task) -> None:
    page = act(support, "cancel", failed_task).content.decode()
    assert f">{failed_task.task_id} has already ended" in page


def test_it_leaves_an_audit_row_of_what_it_did(support: Client, failed_task: Task) -> None:
    act(support, "retry", failed_task)
    entry = AuditEntry.objects.get()
    assert (entry.principal, entry.interface) == ("support:sam@example.com", "ADMIN")
    assert (entry.action, entry.outcome) == ("RetryTask", "ACCEPTED")
    assert (entry.object_id, entry.source) == (failed_task.task_id, "127.0.0.1")


def test_it_says_and_audits_why_a_service_refused(support: Client, failed_task: Task) -> None:
    page = act(support, "cancel", failed_task)
    assert "has already ended: failed" in page.content.decode()
    entry = AuditEntry.objects.get()
    assert entry.outcome == "REFUSED"
    assert entry.detail.startswith("FAILED_PRECONDITION")


def test_it_offers_no_action_to_whoever_may_only_look(onlooker: Client, failed_task: Task) -> None:
    page = act(onlooker, "retry", failed_task)
    own = onlooker.get(f"/admin/tasks/task/{failed_task.pk}/change/")
    assert 'value="retry"' not in page.content.decode() + own.content.decode()
    assert not Task.objects.filter(retry_of=failed_task.task_id).exists()
    assert not AuditEntry.objects.exists()


def test_a_cancellation_names_what_is_lost_and_kept_first(
    support: Client, make_cluster: MakeCluster
) -> None:
    task = services.stop_cluster(make_cluster(), by="alice@example.com")
    page = support.get(f"/admin/tasks/task/{task.pk}/change/").content.decode()
    form = {
        "action": "cancel",
        "_selected_action": str(task.pk),
        **dict(re.findall(r'type="hidden" name="(ask|back)" value="(\w+)"', page)),
    }
    asked = support.post("/admin/tasks/task/", form).content.decode()
    task.refresh_from_db()
    assert task.state == "PENDING"
    assert "the requested stop: the cluster runs" in asked
    assert "endpoint, token and all data" in asked
    sent = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', asked))
    support.post("/admin/tasks/task/", sent)
    task.refresh_from_db()
    assert task.state == "CANCELLED"
