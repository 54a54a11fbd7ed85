"""Strips of availability: in the list of clusters, and on a cluster's page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.utils import timezone

from clusters.availability import ObservedDay
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster, ClusterDay
from clusters.sweeps import sweep_clusters
from clusters.views.availability import SHAPES, Cell, words_of
from tests.web.conftest import Browser

A_DAY = 24 * 3600.0


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    """A cluster that is older than a strip."""
    cluster = make_cluster()
    Cluster.objects.update(created_at=timezone.now() - timedelta(days=90))
    return cluster


def observe(cluster: Cluster, *, days_ago: int, **facts: object) -> date:
    at = timezone.now() - timedelta(days=days_ago)
    ClusterDay.objects.create(cluster=cluster, day=at.date(), counted_until=at, **facts)
    return at.date()


def test_the_page_names_the_percent_and_each_interruption_with_its_cause(
    cluster: Cluster, alices: Browser
) -> None:
    cause = "The Milvus process crashed."
    lost = {"interrupted_seconds": 90, "cause": cause}
    day = observe(cluster, days_ago=2, available_seconds=A_DAY - 90, **lost)
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    section = content.partition('id="availability"')[2].partition("</section>")[0]
    assert "answered for 99.89 % of the time" in section
    listed = section.partition(f'id="trouble-{day.isoformat()}"')[2]
    assert f'href="/o/acme/clusters/{cluster.pk}/operations?day={day.isoformat()}"' in listed[:120]
    assert "interrupted for 1 min 30 s" in listed
    assert cause in listed


def test_a_crash_and_its_recovery_show_in_the_strip(
    cluster: Cluster, driver: MemoryDriver, alices: Browser, work: Callable[[], int]
) -> None:
    sweep_clusters()
    driver.crash(cluster.pk)
    sweep_clusters()
    work()
    sweep_clusters()
    page = alices.open("cluster-detail", cluster.pk)
    assert page.context["availability"].days[-1].observed.cell is Cell.INTERRUPTED
    listed = alices.open("cluster-list")
    assert "interrupted on 1 day" in listed.context["strips"][cluster.pk].title
    assert 'class="day-interrupted"' in listed.content.decode()


def test_days_without_the_console_are_not_drawn_as_available(
    cluster: Cluster, alices: Browser
) -> None:
    observe(cluster, days_ago=1, available_seconds=A_DAY / 2)
    days = alices.open("cluster-detail", cluster.pk).context["availability"].days
    assert [day.observed.cell for day in days[-3:]] == [Cell.UNKNOWN, Cell.PARTLY, Cell.UNKNOWN]
    strip = alices.open("cluster-list").context["strips"][cluster.pk]
    assert {cell.css_class for cell in strip.cells} == {Cell.UNKNOWN, Cell.PARTLY}


def test_a_strip_of_the_list_leads_to_the_page(cluster: Cluster, alices: Browser) -> None:
    address = f'href="/o/acme/clusters/{cluster.pk}#availability"'
    assert address in alices.open("cluster-list").content.decode()


def test_a_cluster_that_was_not_observed_has_no_percent(cluster: Cluster, alices: Browser) -> None:
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    assert "The cluster was not observed yet while it should have run." in content
    assert alices.open("cluster-list").context["strips"][cluster.pk].percent == ""


def test_each_look_of_a_cell_has_a_shape_of_its_own() -> None:
    assert len(set(map(tuple, SHAPES.values()))) == len(Cell)


@pytest.mark.parametrize(
    ("cell", "facts", "words"),
    [
        (Cell.AVAILABLE, {"available_seconds": A_DAY}, "available all day"),
        (Cell.PARTLY, {"available_seconds": 1, "unknown_seconds": 7200}, "no data for 2 h 0 min"),
        (Cell.DOWN, {"interrupted_seconds": 600}, "never available, interrupted for 10 min 0 s"),
        (
            Cell.STOPPED,
            {"stopped_seconds": 60},
            "never available, stopped on purpose for 1 min 0 s",
        ),
        (Cell.UNKNOWN, {"unknown_seconds": A_DAY}, "no data"),
        (Cell.ABSENT, {}, "did not exist"),
    ],
)
def test_a_day_has_words(cell: Cell, facts: dict[str, float], words: str) -> None:
    assert words_of(ObservedDay(day=date(2026, 3, 2), cell=cell, **facts)) == words
