"""Curves on the cluster's page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters import services
from clusters.drivers.memory import MemoryDriver
from clusters.metrics import Series, measure_all
from clusters.models import Cluster, MetricSample
from clusters.views.curves import curves_of
from tests.web.conftest import Browser, alices, browser_of
from vbase_console.tasks.models import Task
from vbase_console.web.charts import MAX_POINTS

__all__ = ["alices", "browser_of"]


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


def points(minutes_ago: list[int]) -> Series:
    now = timezone.now()
    found = [(now - timedelta(minutes=minutes), 1.0 + minutes) for minutes in minutes_ago]
    return Series(name="cpu_cores", unit="cores", points=found)


def test_a_time_without_measurements_divides_the_curve() -> None:
    (curve,) = curves_of([points([50, 49, 48, 20, 19])], [], "1h")
    assert [line.count(",") for line in curve.chart.lines] == [3, 2]


def test_the_curve_names_its_latest_lowest_and_highest_value() -> None:
    (curve,) = curves_of([points([3, 2, 1])], [], "1h")
    assert (curve.latest, curve.lowest, curve.highest) == ("2.00", "2.00", "4.00")


def test_a_day_of_minutes_is_thinned_and_stays_one_line() -> None:
    (curve,) = curves_of([points(list(range(1439, 0, -1)))], [], "24h")
    (line,) = curve.chart.lines
    assert line.count(",") <= MAX_POINTS


def test_the_page_draws_what_was_measured(
    alices: Browser, driver: MemoryDriver, cluster: Cluster
) -> None:
    driver.set_usage(cluster.pk, rows=1200)
    measure_all()
    said = alices.open("cluster-detail", cluster.pk).content.decode()
    assert "<title>Rows: latest 1,200, lowest 1,200, highest 1,200</title>" in said
    assert "?window=7d" in said


def test_the_page_says_that_nothing_was_measured_yet(alices: Browser, cluster: Cluster) -> None:
    said = alices.open("cluster-detail", cluster.pk).content.decode()
    assert "No measurements in this window" in said


def test_the_list_of_clusters_shows_the_trend_of_each(alices: Browser, cluster: Cluster) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for hours, cores in ((3, 0.5), (2, 1.5), (1, 1.0)):
        MetricSample.objects.create(
            cluster=cluster,
            period_seconds=3600,
            at=hour - timedelta(hours=hours),
            cpu_cores=cores,
        )
    page = alices.open("cluster-list").content.decode()
    assert f"CPU of {cluster.name}, 24 hours: latest 1.00, highest 1.50 cores" in page


def test_a_cluster_that_was_not_measured_has_no_trend(alices: Browser, cluster: Cluster) -> None:
    assert alices.open("cluster-list").context["trends"] == {}


def test_a_mark_states_the_reason_of_its_task(cluster: Cluster, alices: Browser) -> None:
    task = services.restart_cluster(cluster, by="alice")
    Task.objects.update(arguments={"reason": "The Milvus process crashed."})
    MetricSample.objects.create(
        cluster=cluster, period_seconds=60, at=timezone.now(), cpu_cores=1.0
    )
    page = alices.open("cluster-detail", cluster.pk).content.decode()
    assert "<title>Restart: pending. The Milvus process crashed.</title>" in page
    assert f"/tasks/{task.task_id}" in page.partition("Numbers and marked events")[2]
