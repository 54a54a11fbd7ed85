"""One sample a minute for a day, one an hour for 30 days, served as series."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backups.services.backups import verify_backup
from clusters import metrics
from clusters.drivers.base import Usage
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster, MetricSample
from clusters.services import restart_cluster
from clusters.states import Condition
from tests.api.client import Api
from tests.backups.seeds import seed_backup

MakeCluster = Callable[..., Cluster]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOON


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(metrics.timezone, "now", lambda: clock.now)
    return clock


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster()


@pytest.fixture
def measure(
    driver: MemoryDriver, clock: Clock, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Measure the cluster as it is at a time of the clock."""

    def measure(at: datetime, **counted: Any) -> None:
        clock.now = at
        usage = Usage(measured_at=at, **counted)
        monkeypatch.setattr(driver, "usage", lambda ids: dict.fromkeys(ids, usage))
        metrics.measure_all()

    return measure


def values(cluster: Cluster, name: str, window: str = "1h") -> list[float]:
    series = {each.name: each for each in metrics.series_of(cluster, window)}
    return [value for _, value in series[name].points]


def test_a_minute_is_stored_once(measure: Callable[..., None], cluster: Cluster) -> None:
    measure(NOON, rows=5)
    measure(NOON + timedelta(seconds=30), rows=7)
    assert values(cluster, "rows") == [5]


def test_rates_are_differences_of_counters(measure: Callable[..., None], cluster: Cluster) -> None:
    measure(NOON, cpu_seconds=10.0, requests=100)
    measure(NOON + MINUTE, cpu_seconds=40.0, requests=700)
    assert values(cluster, "cpu_cores") == [0.5]
    assert values(cluster, "requests_per_second") == [10.0]


def test_a_counter_that_fell_gives_no_rate(measure: Callable[..., None], cluster: Cluster) -> None:
    measure(NOON, requests=100)
    measure(NOON + MINUTE, requests=3)
    assert values(cluster, "requests_per_second") == []


def test_a_long_gap_gives_no_rate(measure: Callable[..., None], cluster: Cluster) -> None:
    measure(NOON, requests=100)
    measure(NOON + 10 * MINUTE, requests=300)
    assert values(cluster, "requests_per_second") == []


def test_what_is_not_measured_is_a_gap(measure: Callable[..., None], cluster: Cluster) -> None:
    measure(NOON, memory_bytes=1000)
    assert values(cluster, "memory_bytes") == [1000]
    assert values(cluster, "disk_bytes") == []


def test_an_hour_is_the_mean_of_its_minutes(measure: Callable[..., None], cluster: Cluster) -> None:
    for number in (1, 2, 3):
        measure(NOON + number * MINUTE, rows=10 * number)
    measure(NOON + HOUR, rows=99)
    assert values(cluster, "rows", "7d") == [20]


def test_hours_that_the_console_was_down_are_not_invented(
    measure: Callable[..., None], cluster: Cluster
) -> None:
    measure(NOON, rows=10)
    measure(NOON + 5 * HOUR, rows=20)
    measure(NOON + 6 * HOUR, rows=30)
    assert values(cluster, "rows", "7d") == [10, 20]


def test_minutes_are_kept_for_a_day_and_hours_for_thirty(
    measure: Callable[..., None], cluster: Cluster
) -> None:
    measure(NOON, rows=1)
    measure(NOON + timedelta(days=1, hours=2), rows=2)
    assert MetricSample.objects.filter(period_seconds=60, at=NOON).count() == 0
    assert MetricSample.objects.filter(period_seconds=3600, at=NOON).count() == 1
    measure(NOON + timedelta(days=31), rows=3)
    assert MetricSample.objects.filter(period_seconds=3600, at=NOON).count() == 0


def test_only_running_clusters_are_measured(measure: Callable[..., None], cluster: Cluster) -> None:
    Cluster.objects.update(condition=Condition.STOPPED)
    measure(NOON, rows=1)
    assert MetricSample.objects.count() == 0


def test_many_clusters_cost_as_many_statements_as_one(
    measure: Callable[..., None], cluster: Cluster, make_cluster: MakeCluster
) -> None:
    def cost(at: datetime) -> int:
        with CaptureQueriesContext(connection) as captured:
            measure(at, rows=1)
        return len(captured)

    cost(NOON + MINUTE)
    one = cost(NOON + 2 * MINUTE)
    for number in range(5):
        make_cluster(f"another {number}")
    assert cost(NOON + 3 * MINUTE) == one


def test_the_api_serves_all_series_and_marks(
    api: Api,
    driver: MemoryDriver,
    cluster: Cluster,
    work: Callable[[], int],
) -> None:
    driver.set_usage(cluster.pk, rows=12, memory_bytes=2000, disk_bytes=300, requests=4)
    metrics.measure_all()
    task = restart_cluster(cluster, by="a test")
    work()
    said = api.get(f"/clusters/{cluster.pk}/metrics", window="1h")
    by_name = {series["name"]: series for series in said["series"]}
    assert list(by_name) == [
        "cpu_cores",
        "memory_bytes",
        "rows",
        "disk_bytes",
        "requests_per_second",
    ]
    assert [value for _, value in by_name["rows"]["points"]] == [12]
    assert by_name["rows"]["points"][0][0].endswith("Z")
    assert said["marks"][0] | {"time": ""} == {
        "time": "",
        "kind": "RESTART",
        "taskId": task.task_id,
        "text": "Restart: succeeded",
    }


def test_jobs_are_marks_for_keys_that_may_list_them(
    key_with: Callable[..., Api], cluster: Cluster
) -> None:
    verify_backup(seed_backup(cluster), by="a test")
    kinds = lambda *scopes: {  # noqa: E731
        mark["kind"] for mark in key_with(*scopes).get(f"/clusters/{cluster.pk}/metrics")["marks"]
    }
    assert kinds("GetCluster") == {"DEPLOYMENT"}
    assert kinds("GetCluster", "ListBackups") == {"DEPLOYMENT", "VERIFY"}


def test_another_window_is_an_invalid_argument(api: Api, cluster: Cluster) -> None:
    said = api.get(f"/clusters/{cluster.pk}/metrics", window="2h")
    assert "window" in said.field_errors


def test_a_stranger_does_not_find_the_cluster(stranger: Api, cluster: Cluster) -> None:
    assert stranger.get(f"/clusters/{cluster.pk}/metrics").code == "NOT_FOUND"
