"""Take, restore and watch, in a browser and with a Milvus that answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pymilvus import MilvusClient

from clusters.models import Cluster
from tests.backups.conftest import cluster, driver, fill, machine, milvus, rows_of, store
from tests.browser.conftest import _work
from tests.browser.test_accessibility import overflow, serious

pytestmark = pytest.mark.browser
__all__ = ["cluster", "driver", "machine", "milvus", "store"]
OpenPage = Callable[..., Page]


@pytest.fixture
def worker(cluster: Cluster, settings: Any) -> Iterator[None]:
    """A worker in a thread of its own; its lease outlasts a machine that stands still."""
    settings.LEASE_SECONDS = 600
    ended = threading.Event()
    thread = threading.Thread(target=_work, args=(ended,), name="worker")
    thread.start()
    yield
    ended.set()
    thread.join()


def take(page: Page, name: str) -> None:
    page.locator(".head").get_by_role("link", name="Create a backup").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create backup").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Succeeded")


def preview_restore(page: Page, how: str) -> None:
    page.get_by_role("link", name="Open the backup").click()
    page.get_by_role("link", name="Restore", exact=True).click()
    page.get_by_label(how).check()
    page.get_by_role("button", name="Preview restore").click()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_backup_is_taken_and_replaces_what_was_lost(
    alices_page: OpenPage, worker: None, milvus: MilvusClient, javascript: bool
) -> None:
    fill(milvus, rows=200)
    before = rows_of(milvus)
    page = alices_page("/o/acme/backups", java_script_enabled=javascript)
    take(page, "one")
    milvus.delete("images", filter="id < 100")
    preview_restore(page, "Overwrite (current data is lost)")
    page.get_by_role("button", name="Overwrite and restore").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Succeeded")
    assert rows_of(milvus) == before


def test_a_conflict_is_seen_before_anything_is_asked_for(
    alices_page: OpenPage, worker: None, milvus: MilvusClient
) -> None:
    fill(milvus, rows=20)
    page = alices_page("/o/acme/backups")
    take(page, "one")
    preview_restore(page, "Stop")
    expect(page.get_by_role("alert")).to_contain_text("'images' already exists")
    assert [*serious(page), *overflow(page)] == []
    page.get_by_role("link", name="Change options").click()
    page.get_by_label("Restore under a new name").check()
    page.get_by_label("Suffix").fill("_again")
    page.get_by_role("button", name="Preview restore").click()
    assert [*serious(page), *overflow(page)] == []
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Succeeded")
    assert rows_of(milvus, "images_again") == rows_of(milvus)


def test_a_backups_page_fills_itself_and_then_rests(
    alices_page: OpenPage, worker: None, milvus: MilvusClient
) -> None:
    fill(milvus, rows=20)
    page = alices_page("/o/acme/backups")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    take(page, "one")
    page.goto("/o/acme/backups/one")
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("#backup-live")).not_to_contain_text("not since it was written")
    expect(page.locator("#backup-live")).not_to_have_attribute("data-busy", "")
    expect(page.locator("#backup-contents")).to_contain_text("images")
    assert [*serious(page), *said] == []
