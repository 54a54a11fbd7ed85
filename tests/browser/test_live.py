"""An open page wakes, says when the connection is lost, and leaves the reader alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from clusters.models import Cluster
from clusters.services import restart_cluster, update_cluster
from vbase_console.organizations.versions import raise_version

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]


@pytest.fixture(autouse=True)
def _pages_ask_often(settings: Any) -> None:
    settings.LIVE_BUSY_SECONDS = 0.2
    settings.LIVE_IDLE_SECONDS = 0.5


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster("vectors")


def test_an_idle_page_wakes_when_another_starts_a_task(
    alices_page: OpenPage, cluster: Cluster
) -> None:
    page = alices_page("/o/acme/")
    expect(page.locator("#overview")).not_to_contain_text("In progress")
    restart_cluster(cluster, by="key:ci")
    expect(page.locator("#overview")).to_contain_text("In progress")
    expect(page.locator("#overview")).to_contain_text("Restart of vectors")


def test_a_lost_connection_is_said_and_ends_by_itself(
    alices_page: OpenPage, cluster: Cluster
) -> None:
    page = alices_page("/o/acme/clusters")
    banner = page.locator("#connection")
    expect(banner).to_be_hidden()
    page.context.set_offline(True)
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("The connection to the console is lost. The data is from")
    page.context.set_offline(False)
    expect(banner).to_be_hidden()


def test_focus_selection_and_scroll_survive_a_change(
    alices_page: OpenPage, cluster: Cluster
) -> None:
    page = alices_page(f"/o/acme/clusters/{cluster.pk}", viewport={"width": 800, "height": 300})
    page.locator("#do-restart").focus()
    page.evaluate("window.scrollTo(0, 120)")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#cluster-facts code'))")
    update_cluster(cluster, labels={"team": "search"})
    raise_version(cluster.organization_id)
    expect(page.locator("#cluster-facts")).to_contain_text("team=search")
    expect(page.locator("#do-restart")).to_be_focused()
    assert page.evaluate("getSelection().toString()") == cluster.cluster_id
    assert page.evaluate("window.scrollY") == 120


def test_an_open_menu_stays_open(alices_page: OpenPage, cluster: Cluster) -> None:
    page = alices_page(f"/o/acme/clusters/{cluster.pk}")
    page.locator("details.account summary").click()
    restart_cluster(cluster, by="key:ci")
    expect(page.locator("#cluster-progress")).to_contain_text("Restart")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_page_whose_session_has_ended_leads_to_the_sign_in(
    alices_page: OpenPage, cluster: Cluster
) -> None:
    page = alices_page("/o/acme/clusters")
    page.context.clear_cookies()
    page.wait_for_url("**/sign-in**")


def test_a_script_is_not_needed(alices_page: OpenPage, cluster: Cluster) -> None:
    page = alices_page("/o/acme/", java_script_enabled=False)
    expect(page.locator("#overview")).to_contain_text("vectors")
