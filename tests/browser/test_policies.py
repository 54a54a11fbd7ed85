"""A policy from its form to its first backup, in a browser and with a Milvus that answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect
from pymilvus import MilvusClient

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from clusters.models import Cluster
from tests.backups.conftest import cluster, driver, fill, machine, milvus, store
from tests.browser.test_accessibility import overflow, serious
from tests.browser.test_backups import worker
from tests.browser.test_journey import requests_during, tab_to
from tests.policies.pages import back_up, skip

pytestmark = pytest.mark.browser
__all__ = ["cluster", "driver", "machine", "milvus", "store", "worker"]
OpenPage = Callable[..., Page]


@pytest.fixture
def policy(cluster: Cluster) -> BackupPolicy:
    return create_policy(cluster, PolicySpec(schedule_cron="0 3 * * *", retention_count=3))


def open_form(page: Page) -> None:
    page.get_by_role("navigation", name="Console").get_by_role("link", name="Policies").click()
    page.locator(".head").get_by_role("link", name="Create a policy").click()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_policy_is_written_looked_at_made_and_run(
    alices_page: OpenPage, worker: None, milvus: MilvusClient, javascript: bool
) -> None:
    fill(milvus, rows=20)
    page = alices_page(java_script_enabled=javascript)
    open_form(page)
    page.get_by_label("Custom").check()
    page.get_by_label("Cron expression").fill("15 4 * * *")
    if not javascript:
        page.get_by_role("button", name="Preview").click()
    expect(page.locator("#policy-ahead")).to_contain_text("At 04:15 every day")
    page.get_by_label("Only these").check()
    page.get_by_label("images").check()
    page.get_by_role("button", name="Create policy").click()
    page.get_by_role("button", name="Run now").click()
    expect(page.locator("#policy-backups")).to_contain_text("newest 7")
    expect(page.locator("#policy-live .badge").first).to_have_text("Good")
    assert Backup.objects.get().requested_collections == ["images"]


def test_a_run_moves_without_a_reload_and_polling_stops(
    alices_page: OpenPage, worker: None, milvus: MilvusClient, policy: BackupPolicy
) -> None:
    fill(milvus, rows=20)
    page = alices_page("/o/acme/policies")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"/o/acme/policies/{policy.pk}")
    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".strip .run-good")).to_have_count(1)
    expect(page.locator("#policy-backups")).to_contain_text("newest 3")
    assert requests_during(page, seconds=4) == []
    assert [*serious(page), *overflow(page), *said] == []


def test_what_is_bad_is_said_while_typing_and_mended_there(
    alices_page: OpenPage, cluster: Cluster
) -> None:
    page = alices_page(f"/o/acme/clusters/{cluster.pk}/policies/new")
    page.get_by_label("Custom").check()
    schedule = page.get_by_label("Cron expression")
    schedule.fill("")
    schedule.press_sequentially("0 25 * * *")
    expect(page.locator("#id_schedule_cron_error")).to_contain_text("'25' is not possible")
    expect(page.locator("#announcement")).to_contain_text("Cron expression: '25' is not possible")
    expect(schedule).to_be_focused()
    assert [*serious(page), *overflow(page)] == []
    schedule.fill("@weekly")
    expect(page.locator("#id_schedule_cron_error")).to_be_empty()
    expect(page.locator("#announcement")).to_contain_text("At 00:00 on Sunday")


def test_the_runs_are_shown_in_the_zone_of_the_policy_and_in_the_readers(
    alices_page: OpenPage, cluster: Cluster
) -> None:
    page = alices_page(
        f"/o/acme/clusters/{cluster.pk}/policies/new", timezone_id="America/Lima", locale="en-GB"
    )
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    runs = page.locator("#policy-ahead table")
    expect(runs).to_contain_text("03:00 JST")
    expect(runs).to_contain_text("13:00")
    expect(runs).to_contain_text("Your time, America/Lima")
    page.get_by_role("button", name="Use America/Lima").click()
    expect(page.get_by_label("Time zone")).to_have_value("America/Lima")
    expect(runs).to_contain_text("Next runs, America/Lima")


def test_the_title_of_a_run_has_the_readers_zone(
    alices_page: OpenPage, policy: BackupPolicy
) -> None:
    skip(policy)
    policy.runs.update(planned_at=datetime(2026, 3, 12, 14, 30, tzinfo=UTC))
    page = alices_page(f"/o/acme/policies/{policy.pk}", timezone_id="America/Lima", locale="en-GB")
    run = page.locator("ol.strip a").first
    expect(run).to_have_attribute("title", re.compile("12 Mar 2026, 09:30: The cluster is"))


def test_another_databases_collections_come_and_what_was_typed_stays(
    alices_page: OpenPage, milvus: MilvusClient, cluster: Cluster
) -> None:
    milvus.create_database("films")
    fill(milvus, rows=1)
    page = alices_page(f"/o/acme/clusters/{cluster.pk}/policies/new")
    page.get_by_label("Custom").check()
    page.get_by_label("Cron expression").fill("@monthly")
    page.get_by_label("Only these").check()
    expect(page.locator("#policy-collections")).to_contain_text("images")
    page.get_by_label("Database").select_option("films")
    expect(page.locator("#policy-collections")).to_contain_text("has no collections yet")
    expect(page.get_by_label("Cron expression")).to_have_value("@monthly")
    expect(page.get_by_label("Only these")).to_be_checked()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_lower_count_is_asked_first_and_can_be_thought_over(
    alices_page: OpenPage, policy: BackupPolicy, javascript: bool
) -> None:
    names = [back_up(policy).name for _ in range(3)]
    narrow = {"width": 360, "height": 800}
    page = alices_page(
        f"/o/acme/policies/{policy.pk}/edit", java_script_enabled=javascript, viewport=narrow
    )
    page.get_by_label("Backups to keep").fill("1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 backups would be deleted")
    expect(page.get_by_role("table")).to_contain_text(names[0])
    assert not javascript or [*serious(page), *overflow(page)] == []
    page.get_by_role("button", name="Back to editing").click()
    expect(page.get_by_label("Backups to keep")).to_have_value("1")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Save and delete 2 backups").click()
    expect(page.locator("#policy-live")).to_contain_text("the newest complete backup")


def test_the_keyboard_alone_makes_a_policy(alices_page: OpenPage, cluster: Cluster) -> None:
    page = alices_page(f"/o/acme/clusters/{cluster.pk}/policies/new")
    tab_to(page, "preset", attribute="name")
    for _ in range(4):  # from the daily preset to the last choice
        page.keyboard.press("ArrowDown")
    tab_to(page, "schedule_cron", attribute="name")
    page.keyboard.press("Control+a")
    page.keyboard.type("@daily")
    tab_to(page, "Create policy")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("At 00:00 every day")
