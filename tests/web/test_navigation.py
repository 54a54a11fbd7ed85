from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from tests.web.conftest import Browser

TEMPLATES = Path(settings.BASE_DIR) / "templates"
PAGES = [
    path for path in sorted(TEMPLATES.rglob("*.html")) if "web/console.html" in path.read_text()
]
IN_THE_NAVIGATION = {
    "dashboard/overview.html",
    "dashboard/activity_list.html",
    "clusters/cluster_list.html",
    "protection/list.html",
    "search/search.html",
    "organizations/membership_list.html",
    "organizations/api_key_list.html",
    "organizations/organization_settings.html",
}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_page_below_the_navigation_has_breadcrumbs(path: Path) -> None:
    if path.relative_to(TEMPLATES).as_posix() not in IN_THE_NAVIGATION:
        assert "crumb" in path.read_text()


def test_the_list_of_shortcuts_has_every_entry_of_the_navigation(alices: Browser) -> None:
    page = alices.open("overview").content.decode()
    keys = set(re.findall(r'data-key="(.)"', page)) - {"/"}
    assert keys == set(re.findall(r"<kbd>g</kbd> <kbd>(\w)</kbd>", page)) - {"u"}


def test_a_member_without_the_right_sees_no_shortcut_to_a_page(bobs: Browser) -> None:
    assert b"<dd>API keys</dd>" not in bobs.open("overview").content


def test_every_icon_of_the_navigation_is_drawn(alices: Browser) -> None:
    page = alices.open("overview").content.decode()
    drawn = (Path(settings.BASE_DIR) / "static/icons.svg").read_text()
    named = set(re.findall(r"icons[\w.]*\.svg#([\w-]+)", page))
    assert {name for name in named if f'id="{name}"' not in drawn} == set()
    assert len(named) > 10


@pytest.mark.django_db
def test_the_api_reference_leads_back_and_follows_the_appearance(client: Client) -> None:
    client.cookies["appearance"] = "dark"
    page = client.get("/api/docs/").content.decode()
    assert 'data-appearance="dark"' in page
    assert '<a href="/">Overview</a>' in page
