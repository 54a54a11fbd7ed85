"""Create, watch, connect, delete: with JavaScript, without, and by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from clusters.models import Cluster, MetricSample
from tests.backups.seeds import seed_backup
from tests.browser.conftest import PATIENCE_SECONDS, SteppedDriver, sign_in

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
expect.set_options(timeout=PATIENCE_SECONDS * 1000)


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


def address_of(cluster: Cluster) -> str:
    return f"/o/acme/clusters/{cluster.pk}"


def create(page: Page, name: str = "vectors") -> None:
    page.get_by_role("link", name="Create the first cluster").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create cluster").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Creating")


def delete(page: Page, name: str = "vectors") -> None:
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Name of the cluster").fill(name)
    page.get_by_role("button", name="Delete cluster").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Deleting")


@pytest.mark.parametrize("javascript", [True, False])
def test_a_cluster_comes_shows_its_token_and_goes(
    new_context: Callable[..., BrowserContext],
    alice: User,
    stepped: SteppedDriver,
    javascript: bool,
) -> None:
    page = sign_in(new_context(java_script_enabled=javascript), alice)
    create(page)
    stepped.go(3)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Running")
    page.get_by_role("button", name="Show token").click()
    expect(page.locator("#token")).to_have_text(Cluster.objects.get().token)
    delete(page)
    stepped.go(2)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Deleted")


def test_progress_moves_without_a_reload_and_polling_stops(
    alices_page: OpenPage, stepped: SteppedDriver
) -> None:
    page = alices_page()
    create(page)
    page.evaluate("window.notReloaded = true")
    stepped.go(2)
    expect(page.locator("progress")).to_have_attribute("value", "60")
    expect(page.locator("#cluster-progress")).to_contain_text("Starting")
    stepped.go()
    expect(page.locator("#cluster-header")).to_contain_text("Running")
    assert page.evaluate("window.notReloaded")
    assert requests_during(page, seconds=5) == []


def requests_during(page: Page, *, seconds: float) -> list[str]:
    """Return the requests of a page that is idle and whose version has settled."""
    expect(page.locator("[data-busy]")).to_have_count(0)
    expect(page.locator("#main")).to_have_attribute("data-version", re.compile(r"\d"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(seconds * 1000)
    return asked


def test_actions_and_access_change_with_the_status(
    alices_page: OpenPage, stepped: SteppedDriver
) -> None:
    page = alices_page()
    create(page)
    expect(page.locator("#cluster-access")).to_contain_text("once the cluster is running")
    stepped.go(3)
    expect(page.locator("#cluster-access")).to_contain_text("memory.invalid")
    expect(page.locator("#cluster-recent")).to_contain_text("Deployment")
    expect(page.locator("#announcement")).to_contain_text("vectors: Running")


def test_a_shown_token_stays_while_a_task_runs(
    alices_page: OpenPage, stepped: SteppedDriver
) -> None:
    page = alices_page()
    create(page)
    stepped.go(3)
    expect(page.locator("#cluster-header")).to_contain_text("Running")
    page.get_by_role("link", name="Restart").click()
    page.get_by_role("button", name="Restart").click()
    page.get_by_role("button", name="Show token").click()
    expect(page.locator("#token")).to_be_visible()
    stepped.go(3)
    expect(page.locator("#cluster-header")).to_contain_text("Running")
    expect(page.locator("#token")).to_be_visible()


def test_the_list_narrows_while_one_types(alices_page: OpenPage, cluster: Cluster) -> None:
    page = alices_page()
    page.get_by_role("link", name="Clusters", exact=True).first.click()
    page.get_by_label("Name or id").press_sequentially("zzz")
    expect(page.locator("#list")).to_contain_text("No cluster matches")
    assert "q=zzz" in page.url


def test_nothing_breaks_the_content_security_policy(
    alices_page: OpenPage, stepped: SteppedDriver
) -> None:
    page = alices_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    create(page)
    stepped.go(3)
    expect(page.locator("#cluster-header")).to_contain_text("Running")
    assert said == []


def test_times_are_relative_with_the_time_of_the_readers_zone_at_hand(
    alices_page: OpenPage, cluster: Cluster
) -> None:
    page = alices_page(address_of(cluster), timezone_id="Asia/Kolkata", locale="en-GB")
    created = page.locator("#cluster-facts time").first
    expect(created).not_to_contain_text("UTC")
    assert str(created.get_attribute("title")).endswith("Asia/Calcutta")


def test_the_times_below_a_curve_are_round_in_the_readers_zone(
    alices_page: OpenPage, make_cluster: Callable[..., Cluster]
) -> None:
    cluster = make_cluster()
    MetricSample.objects.create(
        cluster=cluster, period_seconds=60, at=timezone.now(), cpu_cores=1, memory_bytes=2**30
    )
    page = alices_page(timezone_id="Asia/Kolkata", locale="en-GB")
    page.goto(f"/o/acme/clusters/{cluster.pk}?window=24h")
    times = page.locator("figure text[data-local]").all_text_contents()
    assert {*times} <= {"00:00", "06:00", "12:00", "18:00", ""}
    assert any(times)


def test_the_keyboard_alone_is_enough(alices_page: OpenPage, stepped: SteppedDriver) -> None:
    page = alices_page()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Create the first cluster")
    page.keyboard.press("Enter")
    page.wait_for_url("**/clusters/new")
    tab_to(page, "name", attribute="name")
    page.keyboard.type("vectors")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Creating")
    stepped.go(3)
    expect(page.locator("#cluster-header")).to_contain_text("Running")
    tab_to(page, "Show token")
    page.keyboard.press("Enter")
    expect(page.locator("#token")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
def test_the_focus_goes_to_the_shown_token(
    alices_page: OpenPage, cluster: Cluster, javascript: bool
) -> None:
    page = alices_page(address_of(cluster), java_script_enabled=javascript)
    page.get_by_role("button", name="Show token").click()
    expect(page.locator("#token")).to_be_focused()


@pytest.mark.parametrize("javascript", [True, False])
def test_the_focus_goes_to_the_first_field_with_an_error_or_to_the_message(
    alices_page: OpenPage, cluster: Cluster, javascript: bool
) -> None:
    page = alices_page("/o/acme/clusters/new", java_script_enabled=javascript)
    page.get_by_label("Name").fill("slash/ed")
    page.get_by_role("button", name="Create cluster").click()
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill(cluster.name)
    page.get_by_role("button", name="Create cluster").click()
    expect(page.get_by_role("alert")).to_be_focused()


def test_enter_in_the_name_of_a_key_issues_it(alices_page: OpenPage) -> None:
    page = alices_page("/o/acme/api-keys/new")
    page.get_by_label("Name").fill("ci")
    page.keyboard.press("Enter")
    expect(page.locator("#api-key")).to_be_focused()


@pytest.mark.parametrize("javascript", [True, False])
def test_selected_backups_are_verified_after_one_confirmation(
    alices_page: OpenPage, cluster: Cluster, javascript: bool
) -> None:
    for name in ("one", "two"):
        seed_backup(cluster, name)
    page = alices_page("/o/acme/backups", java_script_enabled=javascript)
    page.get_by_label("Select one").check()
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Verify 1 backup")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Operations")
    expect(page.locator("#list tbody th").first).to_contain_text("Verify")


@pytest.mark.parametrize("javascript", [True, False])
def test_each_example_is_one_choice_away(
    alices_page: OpenPage, cluster: Cluster, javascript: bool
) -> None:
    page = alices_page(address_of(cluster), java_script_enabled=javascript)
    expect(page.locator("#snippet")).to_be_visible()
    page.get_by_text("LangChain", exact=True).click()
    expect(page.locator("#snippet-langchain")).to_be_visible()
    expect(page.locator("#snippet")).to_be_hidden()


def tab_to(page: Page, text: str, *, attribute: str = "textContent") -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(f"(document.activeElement.{attribute} || '').trim()") == text:
            return
    raise AssertionError(f"The keyboard does not reach {text!r}.")


def test_the_focus_stays_where_it_is_while_progress_moves(
    alices_page: OpenPage, stepped: SteppedDriver
) -> None:
    page = alices_page()
    create(page)
    cancel = page.get_by_role("link", name="Cancel Deployment")
    cancel.focus()
    stepped.go(2)
    expect(page.locator("progress")).to_have_attribute("value", "60")
    expect(cancel).to_be_focused()
