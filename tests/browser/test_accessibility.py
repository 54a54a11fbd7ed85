"""axe finds nothing serious on the main pages, in light and in dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page

from backups.models import StorageDay
from backups.policies.models import BackupPolicy, PolicyDay
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.states import JobKind
from clusters import services
from clusters.models import Cluster, ClusterDay, MetricSample, Rollout
from tests.backups.seeds import seed_backup, seed_job
from tests.conftest import PASSWORD
from tests.policies.pages import back_up, skip
from tests.protection.conftest import know
from vbase_console.organizations.admin import AuditEntryAdmin
from vbase_console.organizations.models import AuditEntry, Organization
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
PICTURES = ["", "clusters", "clusters/{cluster}", "policies/{policy}", "jobs/{job}"]
LISTS = [
    "clusters",
    "clusters/{cluster}/collections",
    "clusters/{cluster}/backups",
    "clusters/{cluster}/operations",
    "backups",
    "protection",
    "search?q=bbb",
    "policies",
    "policies/{policy}/runs",
    "policies/{policy}/backups",
    "operations",
    "rollouts",
    "activity",
    "members",
    "api-keys",
]
PHONE_AT_200_PERCENT = 195
"""Width in CSS pixels."""
LIST_WIDTHS = [PHONE_AT_200_PERCENT, 780, 1210]
"""The last two leave a table the least space, above and beside the navigation."""
PAGES = [
    "",
    "clusters",
    "clusters?q=nothing",
    "clusters/new",
    "clusters/attach",
    "clusters/{cluster}",
    "clusters/{cluster}/scale",
    "clusters/{cluster}/delete",
    "clusters/{cluster}/collections",
    "clusters/{cluster}/databases/new",
    "clusters/{cluster}/backups",
    "clusters/{cluster}/take-backup",
    "take-backup",
    "backups",
    "backups?q=nothing",
    "backups/{backup}",
    "backups/{backup}/delete",
    "backups/{backup}/release",
    "protection",
    "protection?state=stale",
    "search",
    "search?q=nothing",
    "search?q=bbb",
    "backups/{backup}/restore",
    "policies",
    "policies?q=nothing",
    "policies/new",
    "policies/{policy}",
    "policies/{policy}/edit",
    "policies/{policy}/runs",
    "policies/{policy}/backups",
    "policies/{policy}/delete",
    "clusters/{cluster}/policies",
    "clusters/{cluster}/policies/new",
    "operations",
    "clusters/{cluster}/operations",
    "rollouts",
    "rollouts/new?id={cluster}",
    "rollouts/{rollout}",
    "backup-actions/verify?id={backup_id}",
    "backup-actions/delete?id={backup_id}",
    "settings",
    "jobs/{job}",
    "tasks/{task}",
    "activity",
    "members",
    "members/add",
    "api-keys",
    "api-keys/new",
    "nothing-here",
]
LONG_CRON = "0,10,20,30,40,50 1,3,5,7,9,11 1,15 1,2,3,4,5,6,7,8,9,10,11,12 1,2,3,4,5"
FRAMES = "html, .scroll, .results, .paginator, .form-row, .model-box"
"""Parts that scroll sideways, or hide what does not fit."""
ADMIN = [
    "",
    "search/?q=ccc",
    "search/?q=nothing",
    "clusters/cluster/",
    "clusters/cluster/{cluster}/change/",
    "clusters/cluster/{cluster}/story/",
    "tasks/task/",
    "search/?q={task}",
    "policies/backuppolicy/{policy}/change/",
    "organizations/auditentry/?p=10",
]


@pytest.fixture
def filled(make_cluster: Callable[..., Cluster], api_key: str) -> dict[str, str]:
    """An organization with a bit of everything under the longest of names, and a task under way."""
    cluster = make_cluster("c" * 63, labels={"env": "dev", "k" * 63: "v" * 63})
    task = services.restart_cluster(cluster, by="alice@example.com")
    Task.objects.filter(pk=task.pk).update(progress=40, phase="starting")
    know(cluster, "i" * 255)
    many: dict[str, Any] = {"row_count": 1_234_567_890_123, "size_bytes": 2**50 - 1}
    backup = seed_backup(cluster, "b" * 128, warnings=["It forgets names."], **many)
    job = seed_job(backup, JobKind.RESTORE, TaskState.RUNNING).task
    Task.objects.filter(pk=job.pk).update(progress=40, phase="inserting")
    policy = create_policy(cluster, PolicySpec(schedule_cron=LONG_CRON, retention_count=7))
    for state in ("SUCCEEDED", "FAILED", "CANCELLED"):
        back_up(policy, state=state)
    skip(policy)
    draw(policy, cluster)
    rollout = Rollout.objects.create(organization=cluster.organization, version="2.1.0")
    step = {"cluster": cluster, "from_version": "2.0.0"}
    rollout.steps.create(position=1, state="FAILED", message="The disk is full. " * 20, **step)
    rollout.steps.create(position=2, **step)
    own = {
        "rollout": rollout.pk,
        "backup": backup.name,
        "backup_id": backup.pk,
        "job": job.task_id,
        "policy": policy.pk,
    }
    return {"cluster": cluster.pk, "task": task.task_id, **own}


def draw(policy: BackupPolicy, cluster: Cluster) -> None:
    """Rows of all pictures: a day of each outcome, storage, and measurements of an hour."""
    own, now = {"organization_id": policy.organization_id}, timezone.now()
    counts: list[dict[str, int]] = [{"good": 1}, {"late": 1}, {"failed": 1}, {"skipped": 1}]
    for ago, count in enumerate(counts):
        day = (now - timedelta(days=ago)).date()
        PolicyDay.objects.update_or_create(policy=policy, day=day, defaults={**own, **count})
        StorageDay.objects.create(**own, cluster=cluster, day=day, size_bytes=2**30 + ago)
        crashed = {"interrupted_seconds": 600.0 * ago, "cause": "The Milvus process crashed."}
        seconds = {"available_seconds": 3600.0, **crashed} if ago else {"stopped_seconds": 60.0}
        ClusterDay.objects.create(cluster=cluster, day=day, counted_until=now, **seconds)
    for ago in range(10):
        for seconds in (60, 3600):
            MetricSample.objects.create(
                cluster=cluster,
                period_seconds=seconds,
                at=now - timedelta(seconds=seconds * ago),
                cpu_cores=1.5 + ago,
                memory_bytes=2**30,
                rows=500 * ago,
            )


def serious(page: Page) -> Iterator[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    for found in page.evaluate(
        "axe.run({resultTypes: ['violations']}).then(results => results.violations)"
    ):
        if found["impact"] in ("serious", "critical"):
            yield f"{found['id']}: {[node['html'] for node in found['nodes']]}"


@pytest.mark.parametrize(
    "looks",
    [
        [("light", 1280), ("dark", 360)],
        pytest.param([("light", 360), ("dark", 1280)], marks=pytest.mark.torture),
    ],
)
def test_axe_finds_nothing_serious(
    alices_page: OpenPage, filled: dict[str, str], looks: list[tuple[str, int]]
) -> None:
    page = alices_page()
    found: dict[str, Any] = {}
    for path in PAGES:
        page.goto(f"/o/acme/{path.format(**filled)}")
        for scheme, width in looks:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": 800})
            found[f"{path} {scheme} {width}"] = [*serious(page), *overflow(page)]
        page.set_viewport_size({"width": 1024, "height": 800})
        found[f"{path} 1024"] = [*overflow(page), *misaligned(page)]
        page.set_viewport_size({"width": 640, "height": 450})  # 1280 pixels at 200 percent
        found[f"{path} 640"] = overflow(page)
        for width in LIST_WIDTHS if path in LISTS else []:
            page.set_viewport_size({"width": width, "height": 450})
            found[f"{path} {width}"] = overflow(page)
    assert {look: problems for look, problems in found.items() if problems} == {}


def overflow(page: Page) -> list[str]:
    """A page scrolls down, never sideways, and its tables need not."""
    wide: list[str] = page.evaluate(
        """(frames) => [...document.querySelectorAll(frames)]
          .filter((frame) => frame.clientWidth && frame.scrollWidth > frame.clientWidth)
          .map((frame) => frame.className || frame.localName)""",
        FRAMES,
    )
    return [f"{frame} is wider than its frame" for frame in wide]


def low(page: Page) -> list[str]:
    """Touch targets, except links within a text, are at least 24 pixels high."""
    targets = "nav a, .brand, summary, button:not(.term), .actions a, .pager a, .buttons a"
    names: list[str] = page.evaluate(
        """(targets) => [...document.querySelectorAll(targets)]
          .filter((each) => each.checkVisibility() && each.clientHeight)
          .filter((each) => each.getBoundingClientRect().height < 24)
          .map((each) => each.textContent.trim())""",
        targets,
    )
    return [f"{name} is less than 24 pixels high" for name in names]


def misaligned(page: Page) -> list[str]:
    """A heading is at the side of its values."""
    headings: list[str] = page.evaluate(
        """() => {
          const side = (cell) => getComputedStyle(cell).textAlign;
          const rows = [...document.querySelectorAll("main thead tr")];
          return rows.flatMap((row) => {
            const first = row.closest("table").querySelector("tbody tr");
            if (!first || first.children.length !== row.children.length) return [];
            return [...row.children]
              .filter((cell) => !cell.querySelector(".visually-hidden"))
              .filter((cell) => side(cell) !== side(first.children[cell.cellIndex]))
              .map((cell) => cell.textContent.trim());
          });
        }"""
    )
    return [f"{heading} is not above its values" for heading in headings]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_api_reference(
    new_context: Callable[..., Any], organization: Organization, scheme: str
) -> None:
    page = new_context(color_scheme=scheme).new_page()
    page.goto("/api/docs/")
    page.locator(".opblock-summary-control").nth(2).click()
    page.wait_for_selector("select.examples-select-element[aria-label]")
    page.locator(".model-box-control").first.click()
    assert list(serious(page)) == []
    page.set_viewport_size({"width": PHONE_AT_200_PERCENT, "height": 422})
    assert overflow(page) == []
    page.get_by_role("link", name="Overview").click()
    page.wait_for_url("**/sign-in**")


def test_the_keyboard_alone_lists_the_shortcuts_and_follows_them(
    alices_page: OpenPage, organization: Organization
) -> None:
    page = alices_page()
    page.keyboard.press("?")
    assert page.get_by_text("Up one level").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_text("Up one level").is_visible()
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.type("gc")
    page.wait_for_url("**/clusters")
    page.keyboard.type("/")
    page.wait_for_url("**/search")


def test_the_tab_key_closes_the_menu_that_it_leaves(
    alices_page: OpenPage, organization: Organization
) -> None:
    page = alices_page()
    page.locator("details.account summary").press("Enter")
    button = page.get_by_role("button", name="Sign out")
    button.focus()
    assert button.is_visible()
    button.press("Tab")
    assert not button.is_visible()


def test_a_page_at_200_percent_needs_no_sideways_scrolling(
    alices_page: OpenPage, filled: dict[str, str]
) -> None:
    page = alices_page(viewport={"width": 640, "height": 450}, device_scale_factor=2)
    for path in PICTURES:
        page.goto(f"/o/acme/{path.format(**filled)}")
        page.set_viewport_size({"width": 640, "height": 450})
        assert overflow(page) == [], path
        page.set_viewport_size({"width": PHONE_AT_200_PERCENT, "height": 422})
        assert [*overflow(page), *low(page)] == [], f"{path} on a phone"


def test_the_menus_fit_a_phone_at_200_percent_and_show_their_names(
    alices_page: OpenPage, organization: Organization
) -> None:
    page = alices_page(viewport={"width": PHONE_AT_200_PERCENT, "height": 422})
    for menu in page.locator(".side .menu:not(.shortcuts)").all():
        menu.locator("summary").click()
        places = [menu.locator(part).bounding_box() for part in (".cut", "ul")]
        assert all(place and place["x"] >= 0 and place["width"] > 24 for place in places)
        assert overflow(page) == []


def test_the_api_reference_without_javascript_leads_to_the_document(
    new_context: Callable[..., Any], organization: Organization
) -> None:
    size = {"width": PHONE_AT_200_PERCENT, "height": 422}
    page = new_context(java_script_enabled=False, viewport=size).new_page()
    page.goto("/api/docs/")
    assert page.get_by_role("link", name="/api/schema/").is_visible()
    assert not page.get_by_text("Loading").is_visible()
    assert overflow(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_before_the_sign_in(
    new_context: Callable[..., Any], organization: Organization, scheme: str
) -> None:
    page = new_context(color_scheme=scheme).new_page()
    page.goto("/sign-in")
    assert list(serious(page)) == []


def test_the_appearance_of_the_person_goes_before_the_systems(
    alices_page: OpenPage, organization: Organization
) -> None:
    page = alices_page(color_scheme="light")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("details.account summary").click()
    page.get_by_role("button", name="Dark").click()
    page.wait_for_selector("html[data-appearance=dark]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


@pytest.mark.parametrize(
    ("scheme", "width", "phone"), [("light", 390, PHONE_AT_200_PERCENT), ("dark", 1440, 320)]
)
def test_axe_finds_nothing_serious_in_the_admin(
    new_context: Callable[..., Any],
    sam: User,
    organization: Organization,
    filled: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    width: int,
    phone: int,
) -> None:
    size = {"width": width, "height": 900}
    monkeypatch.setattr(AuditEntryAdmin, "list_per_page", 1)
    entry: dict[str, Any] = {"action": "ScaleCluster", "interface": "API", "outcome": "ACCEPTED"}
    AuditEntry.objects.bulk_create(
        AuditEntry(organization=organization, **entry) for _ in range(20)
    )
    page = new_context(color_scheme=scheme, viewport=size).new_page()
    page.goto("/admin/")
    found = {"sign-in": list(serious(page))}
    page.get_by_label("E-mail").fill(sam.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Problems of all organizations").wait_for()
    for path in ADMIN:
        page.goto(f"/admin/{path.format(**filled)}")
        page.set_viewport_size(size)
        found[path] = [*serious(page), *overflow(page)]
        page.set_viewport_size({"width": phone, "height": 900})
        found[f"{path} {phone}"] = overflow(page)
    assert {path: problems for path, problems in found.items() if problems} == {}
