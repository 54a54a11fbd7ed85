"""Answers to an open page: nothing, the progress, or the changed parts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.protection.inventory import record_scan
from clusters.models import Cluster
from clusters.services import restart_cluster, update_cluster
from tests.web.conftest import Browser, alices, bobs, browser_of, charlies
from vbase_console.organizations.models import Organization, OrganizationVersion
from vbase_console.organizations.services import add_member
from vbase_console.organizations.versions import raise_version
from vbase_console.tasks import progress
from vbase_console.tasks.attempts import claim
from vbase_console.tasks.models import Task

__all__ = ["alices", "bobs", "browser_of", "charlies"]
pytestmark = pytest.mark.django_db(transaction=True)
PART = re.compile(r'\sid="([\w-]+)" data-live="([\w.]+)"')
BIG_TABLES = ("tasks_task", "backups_", "clusters_", "policies_", "protection_")


class OpenPage:
    """A page as it was loaded, and what it asks next."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address = client, address
        html = client.get(address).content.decode()
        self.parts = dict(PART.findall(html))
        self.version = re.search(r'data-version="([^"]*)"', html)[1]  # type: ignore[index]
        self.reader = re.search(r'data-reader="(\w+)"', html)[1]  # type: ignore[index]

    def ask(self) -> Any:
        marks = ",".join(f"{name}={mark}" for name, mark in self.parts.items())
        headers = {
            "Live-Parts": marks,
            "Live-Reader": self.reader,
            "If-None-Match": f'"{self.version}"',
        }
        return self.client.get(self.address, headers=headers)

    def ask_for_parts(self) -> set[str]:
        answer = self.ask()
        assert answer.status_code == 200
        return set(json.loads(answer.content)["parts"])


def settle() -> None:
    long_ago = timezone.now() - timedelta(seconds=10)
    OrganizationVersion.objects.update(changed_at=long_ago)


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    made = make_cluster()
    settle()
    return made


@pytest.fixture
def page(cluster: Cluster, alice: User, signed_in: Callable[[User], Client]) -> OpenPage:
    return OpenPage(signed_in(alice), f"/o/acme/clusters/{cluster.pk}")


def test_an_idle_page_is_told_304_without_a_look_at_any_big_table(page: OpenPage) -> None:
    with CaptureQueriesContext(connection) as captured:
        answer = page.ask()
    statements = " ".join(query["sql"] for query in captured.captured_queries)
    assert (answer.status_code, answer.content) == (304, b"")
    assert [table for table in BIG_TABLES if table in statements] == []
    assert len(captured.captured_queries) <= 4


def test_a_change_by_another_wakes_it_with_the_parts_that_differ(
    page: OpenPage, cluster: Cluster
) -> None:
    update_cluster(cluster, labels={"team": "search"})
    raise_version(cluster.organization_id)
    assert page.ask_for_parts() == {"cluster-facts"}


def test_a_task_wakes_it(page: OpenPage, cluster: Cluster) -> None:
    restart_cluster(cluster, by="key:ci")
    assert {"cluster-header", "cluster-progress", "spoken"} <= page.ask_for_parts()


def test_an_unsettled_version_equals_nothing(page: OpenPage, cluster: Cluster) -> None:
    raise_version(cluster.organization_id)
    number = OrganizationVersion.objects.get().number
    page.version = re.sub(r"^\d+", str(number), page.version)
    answer = page.ask()
    assert json.loads(answer.content) == {"version": "", "parts": {}}


def test_while_a_task_runs_only_its_progress_is_sent(
    page: OpenPage, cluster: Cluster, alice: User, signed_in: Callable[[User], Client]
) -> None:
    task = restart_cluster(cluster, by="alice")
    attempt: Any = claim(task.task_id, worker="test")
    attempt.report(10, "stopping", "Stopping.")
    settle()
    running = OpenPage(signed_in(alice), page.address)
    assert running.ask().status_code == 304
    attempt._reported_at = 0
    attempt.report(60, "stopping", "Stopping.")
    assert running.ask_for_parts() == {f"progress-{task.task_id}-bar"}
    attempt.report(70, "starting", "Starting.")
    assert running.ask_for_parts() == {f"progress-{task.task_id}-bar", "spoken"}


def test_only_the_form_that_the_page_shows_is_rendered(page: OpenPage, cluster: Cluster) -> None:
    task = restart_cluster(cluster, by="alice")
    attempt: Any = claim(task.task_id, worker="test")
    attempt.report(33, "stopping", "Seen by no page so far.")
    settle()
    running = OpenPage(page.client, page.address)
    page.version = running.version
    page.parts = {f"progress-{task.task_id}-line": f"invented.{_step(running, task.task_id)}"}
    rendered = progress._render.cache_info().misses
    assert page.ask_for_parts() == {f"progress-{task.task_id}-line"}
    assert progress._render.cache_info().misses == rendered + 1


def test_an_invented_mark_of_an_ended_task_renders_nothing(page: OpenPage) -> None:
    task = Task.objects.get()
    step = progress.progress_part(task, "line").mark.partition(".")[2]
    progress._render.cache_clear()
    page.parts = {f"progress-{task.task_id}-line": f"invented.{step}"}
    assert page.ask().status_code == 304
    assert progress._render.cache_info().misses == 0


def test_more_tasks_than_a_page_shows_are_not_looked_up(page: OpenPage) -> None:
    page.parts = {f"progress-task-{number}-bar": "a.b" for number in range(progress.MAX_TASKS + 1)}
    with CaptureQueriesContext(connection) as captured:
        assert page.ask().status_code == 200
    looked_up = [query["sql"] for query in captured.captured_queries if "task-99" in query["sql"]]
    assert looked_up == []


def _step(page: OpenPage, task_id: str) -> str:
    return page.parts[f"progress-{task_id}-bar"].partition(".")[2]


def test_a_row_of_a_table_is_no_reason_to_send_other_pages_parts(
    cluster: Cluster, alice: User, signed_in: Callable[[User], Client]
) -> None:
    members = OpenPage(signed_in(alice), "/o/acme/members")
    restart_cluster(cluster, by="alice")
    assert members.ask_for_parts() == set()


def test_messages_are_left_for_the_page_that_is_loaded_next(
    page: OpenPage, cluster: Cluster
) -> None:
    page.client.post(f"/o/acme/clusters/{cluster.pk}/edit", {"name": "renamed", "labels": ""})
    page.ask()
    assert b"Saved." in page.client.get(page.address).content


def test_a_form_token_that_differs_each_time_is_no_change(
    page: OpenPage, cluster: Cluster, alice: User, signed_in: Callable[[User], Client]
) -> None:
    restart_cluster(cluster, by="alice")
    settle()
    running = OpenPage(signed_in(alice), page.address)
    running.version = "0"
    assert running.ask_for_parts() == set()


def test_a_shown_token_stays(page: OpenPage, cluster: Cluster) -> None:
    answer = page.client.post(f"{page.address}/token", headers={"HX-Request": "true"})
    (shown,) = PART.findall(answer.content.decode())
    assert page.parts[shown[0]] == shown[1]
    restart_cluster(cluster, by="alice")
    assert "cluster-access" not in page.ask_for_parts()


def test_who_has_signed_out_is_told_so(page: OpenPage) -> None:
    page.client.logout()
    assert page.ask().status_code == 401


def test_a_stranger_is_told_nothing(page: OpenPage, charlies: Browser) -> None:
    page.client = charlies.client
    assert page.ask().status_code == 404


@pytest.mark.parametrize("is_settled", [True, False])
def test_a_page_of_another_user_is_told_to_load_itself_anew(
    page: OpenPage, bob: User, signed_in: Callable[[User], Client], is_settled: bool
) -> None:
    page.client = signed_in(bob)
    page.version = page.version if is_settled else ""
    assert page.ask().status_code == 401


def test_a_version_of_another_page_does_not_hide_that_an_object_is_missing(page: OpenPage) -> None:
    page.address = "/o/acme/clusters/vc-invented"
    assert page.ask().status_code == 404


def test_a_page_of_another_organization_is_told_to_load_itself_anew(
    page: OpenPage, alice: User, charlie: User
) -> None:
    other = Organization.objects.get(name="other")
    add_member(other, user=alice, role="viewer")
    OrganizationVersion.objects.filter(pk=other.pk).delete()
    same = OrganizationVersion.objects.values("number", "changed_at").get()
    OrganizationVersion.objects.create(organization=other, **same)
    page.address = "/o/other/clusters"
    assert page.ask().status_code == 401


@pytest.mark.parametrize("is_raised", [True, False])
def test_a_page_of_a_member_whose_role_was_changed_is_told_to_load_itself_anew(
    page: OpenPage, alice: User, is_raised: bool
) -> None:
    """Parts that the new role does not show would stay on the screen."""
    assert "cluster-access" in page.parts
    membership = alice.membership_set.get()
    membership.role = "viewer"
    membership.save()
    if is_raised:
        raise_version(membership.organization_id)
    assert page.ask().status_code == 401
    assert "cluster-access" not in OpenPage(page.client, page.address).parts


def test_a_role_that_stays_is_told_nothing(page: OpenPage, alice: User) -> None:
    alice.membership_set.update(role="owner")
    assert page.ask().status_code == 304


def test_the_figures_of_protection_wake(
    cluster: Cluster, alice: User, signed_in: Callable[[User], Client]
) -> None:
    page = OpenPage(signed_in(alice), "/o/acme/protection")
    record_scan(cluster, {"default": ["images"]})
    raise_version(cluster.organization_id)
    assert page.ask_for_parts() == {"protection-figures", "list"}


def test_a_renamed_object_wakes_the_results_of_a_search(
    cluster: Cluster, alice: User, signed_in: Callable[[User], Client]
) -> None:
    page = OpenPage(signed_in(alice), f"/o/acme/search?q={cluster.name}")
    assert "results" in page.parts
    update_cluster(cluster, name="renamed")
    raise_version(cluster.organization_id)
    assert page.ask_for_parts() == {"results"}


def test_a_page_without_live_parts_is_complete_and_has_a_version(alices: Browser) -> None:
    assert 'data-version="' in alices.open("cluster-create").content.decode()


def test_without_javascript_a_busy_page_reloads_until_its_reader_stops_that(
    make_cluster: Callable[..., Cluster], alices: Browser
) -> None:
    make_cluster(running=False)
    page = alices.open("cluster-list", status="CREATING").content.decode()
    assert 'http-equiv="refresh"' in page
    assert '<a href="?status=CREATING&amp;reload=no">Stop reloading</a>' in page
    stopped = alices.open("cluster-list", status="CREATING", reload="no").content.decode()
    assert "http-equiv" not in stopped
    assert '<a href="?status=CREATING">reload it every 10 seconds</a>' in stopped
