"""Debian's Chromium against the live server; the worker takes a step when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from clusters import driver as clusters_driver
from clusters.drivers.base import Progress
from clusters.drivers.memory import MemoryDriver
from tests.conftest import PASSWORD
from vbase_console.organizations.models import Organization
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

CHROMIUM = Path("/usr/bin/chromium-headless-shell")
"""Debian's Chromium without windows of its own, which is what Playwright runs where none is to be
seen: the other build takes a second and a half of CPU for every new context.
"""
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_SECONDS = 60


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """While Playwright's event loop runs in this thread, Django takes its code for async code and
    gives it a connection of its own; both end with these tests.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there; install Debian's package {CHROMIUM.name}.")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield browser
        browser.close()
        connections.close_all()


class SteppedDriver(MemoryDriver):
    """Waits before every step until the test lets it take one."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = threading.Semaphore(0)
        self.ended = threading.Event()

    def go(self, steps: int = 1) -> None:
        self.allowed.release(steps)

    def _step(self, percent: int, phase: str) -> Progress:
        while not self.ended.is_set() and not self.allowed.acquire(timeout=0.1):
            pass
        return super()._step(percent, phase)


@pytest.fixture
def stepped(
    monkeypatch: pytest.MonkeyPatch, settings: Any, chromium: Browser, transactional_db: None
) -> Iterator[SteppedDriver]:
    """A worker in a thread of its own, with a driver that waits for the test. The lease is long,
    because no other worker would take over on a busy machine.
    """
    settings.LEASE_SECONDS = 600
    driver = SteppedDriver()
    monkeypatch.setattr(clusters_driver, "load_driver", lambda *a, **k: driver)
    clusters_driver.get_driver.cache_clear()
    worker = threading.Thread(target=_work, args=(driver.ended,), name="worker")
    worker.start()
    yield driver
    driver.ended.set()
    worker.join()


def _work(ended: threading.Event) -> None:
    try:
        while not ended.wait(0.1):
            for task in Task.objects.ready():
                run_task(task.task_id)
    finally:
        connection.close()


@pytest.fixture
def new_context(
    chromium: Browser, live_server: Any, organization: Organization
) -> Iterator[Callable[..., BrowserContext]]:
    opened: list[BrowserContext] = []

    def new(**options: Any) -> BrowserContext:
        context = chromium.new_context(base_url=live_server.url, **options)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        opened.append(context)
        return context

    yield new
    for context in opened:
        context.close()


@pytest.fixture
def alices_page(
    new_context: Callable[..., BrowserContext],
    live_server: Any,
    alice: User,
    signed_in: Callable[[User], Client],
) -> Callable[..., Page]:
    """A page in Alice's browser, signed in; options are those of a browser context."""

    def open_page(path: str = "/o/acme/", **options: Any) -> Page:
        session = signed_in(alice).cookies[settings.SESSION_COOKIE_NAME]
        context = new_context(**options)
        context.add_cookies([{"name": session.key, "value": session.value, "url": live_server.url}])
        page = context.new_page()
        page.goto(path)
        return page

    return open_page


def sign_in(context: BrowserContext, user: User) -> Page:
    """Sign in on the page for it, as a person does."""
    page = context.new_page()
    page.goto("/")
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/o/acme/")
    return page
