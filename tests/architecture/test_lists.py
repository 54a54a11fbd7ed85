"""Every list pages, filters and sorts on the server, without a script and for every reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.architecture.cast import Cast, values_of
from tests.architecture.routes import Route, all_routes
from vbase_console.web.lists import FilterForm

ROOT: Path = settings.BASE_DIR
# Module that pages rows by itself → why the common list does not do it.
PAGED_OTHERWISE: dict[str, str] = {
    "backups/views/detail.py": "the collections of one backup are a part of its page, by name, as "
    "its manifest has them",
    "vbase_console/explorer/views.py": "the collections of one cluster are names that its server "
    "tells, not rows",
}
HEAD = re.compile(r'href="\?sort=-?(\w+)"')
COLUMN = re.compile(r"""{% column "[^"]+" "(\w+)\"""")
PARENT = re.compile(r'{% extends "([^"]+)" %}')


def view_of(route: Route) -> Any:
    return getattr(route.callback, "view_class", None)


LISTS = [route for route in all_routes() if hasattr(view_of(route), "table_name")]
FILTERS = sorted(
    {view_of(route).filter_class for route in LISTS}, key=lambda form: str(form.__name__)
)


def offered(route: Route) -> set[str]:
    """Return the fields by which the headings of the table sort."""
    return set(COLUMN.findall(source_of(view_of(route).table_name)))


def source_of(template: str) -> str:
    """Return the text of a template and of those that it extends."""
    text = (ROOT / "templates" / template).read_text()
    parent = PARENT.search(text)
    return text + (source_of(parent[1]) if parent else "")


def opened(cast: Cast, route: Route, **query: str) -> Any:
    return cast.visitors["owner"].pages.get(route.address(values_of(cast.mine)), query)


@pytest.mark.parametrize("route", LISTS, ids=str)
def test_it_can_be_searched_and_sorted(route: Route) -> None:
    filter_class = view_of(route).filter_class
    assert offered(route)
    assert offered(route) <= set(filter_class.SORT_FIELDS)
    assert filter_class.SEARCH_LOOKUPS
    assert "q" in filter_class.base_fields


@pytest.mark.parametrize("filter_class", FILTERS, ids=lambda form: form.__name__)
def test_whatever_a_list_can_be_sorted_by_has_a_head(filter_class: type[FilterForm]) -> None:
    lists = [route for route in LISTS if view_of(route).filter_class is filter_class]
    assert set().union(*map(offered, lists)) == set(filter_class.SORT_FIELDS)


def test_what_is_called_a_list_is_one() -> None:
    named = {route.name for route in all_routes() if route.name.endswith("-list")}
    assert named - {route.name for route in LISTS} == set()


def test_nobody_else_pages_rows() -> None:
    interfaces = [
        path
        for top in ("vbase_console", "clusters", "backups")
        for path in (ROOT / top).rglob("*.py")
    ]
    pagers = {
        path.relative_to(ROOT).as_posix() for path in interfaces if "Paginator(" in path.read_text()
    }
    base = {"vbase_console/core/paginators.py", "vbase_console/web/lists.py"}
    assert pagers == base | set(PAGED_OTHERWISE)


def test_every_head_sorts_both_ways_and_says_which(people: Cast) -> None:
    for route in LISTS:
        for name in sorted(offered(route)):
            for sort in (name, f"-{name}"):
                answer = opened(people, route, sort=sort)
                assert (str(route), answer.status_code) == (str(route), 200)
                assert answer.context["filter"].order == sort


def test_a_sorted_head_tells_a_screen_reader_which_way(people: Cast) -> None:
    silent = []
    for route in LISTS:
        heads = HEAD.findall(opened(people, route).content.decode())
        content = opened(people, route, sort=heads[0]).content.decode() if heads else ""
        if content.count('aria-sort="ascending"') != len(heads[:1]):
            silent.append(str(route))
    assert silent == []


def test_a_search_that_finds_nothing_leads_back_to_the_whole_list(people: Cast) -> None:
    for route in LISTS:
        answer = opened(people, route, q="no such thing")
        assert (str(route), len(answer.context["rows"])) == (str(route), 0)
        assert (
            f'<a href="{route.address(values_of(people.mine))}">Show all' in answer.content.decode()
        )


def test_a_script_is_not_needed_and_htmx_gets_the_table_alone(people: Cast) -> None:
    for route in LISTS:
        address = route.address(values_of(people.mine))
        whole = opened(people, route).content.decode()
        assert f'<form class="filter" method="get" role="search" action="{address}"' in whole
        client = people.visitors["owner"].pages
        part = client.get(address, headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in part
        assert '<div id="list"' in part
