"""The rate limit of a job, by its accounts: the clock and the pauses are those of the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymilvus import MilvusClient

from backups.capture import rate_limit
from backups.capture.rate_limit import RateLimit, TokenBucket
from backups.models import BackupJob
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.models import Cluster
from tests.backups.conftest import fill

Work = Callable[[], int]
RATE = 1000


class Clock:
    """A clock that moves only when the limit waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.checks = 0

    def check(self) -> None:
        self.checks += 1

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def limit(self, bytes_per_second: int = RATE) -> RateLimit:
        return RateLimit(bytes_per_second, self.check, clock=lambda: self.now, sleep=self.sleep)


@given(st.lists(st.integers(0, 20 * RATE), max_size=30))
def test_no_more_passes_than_the_rate_and_the_bytes_of_one_second(counts: list[int]) -> None:
    clock = Clock()
    limit = clock.limit()
    for count in counts:
        limit.read(count)
    assert sum(counts) <= RATE * (clock.now + 1) + 1


def test_the_bytes_of_one_second_pass_at_once() -> None:
    limit = (clock := Clock()).limit()
    limit.read(RATE)
    assert clock.now == 0
    limit.read(RATE // 2)
    assert clock.now == 0.5


def test_bytes_that_were_not_used_are_not_saved_for_longer_than_a_second() -> None:
    bucket = TokenBucket(RATE, now=0)
    assert bucket.take(3 * RATE, now=100) == 2


def test_each_direction_has_the_whole_rate() -> None:
    limit = (clock := Clock()).limit()
    limit.read(RATE)
    limit.stored(RATE)
    limit.inserted(RATE)
    assert clock.now == 0


def test_without_a_limit_there_is_no_wait() -> None:
    limit = (clock := Clock()).limit(0)
    limit.read(10**15)
    assert clock.now == 0


def test_a_wait_is_checked_at_least_once_a_second() -> None:
    limit = (clock := Clock()).limit()
    limit.read(31 * RATE)
    assert (clock.now, clock.checks) == (30, 30)


def test_a_wait_ends_when_the_job_must_end() -> None:
    class Cancelled(Exception):
        pass

    def check() -> None:
        raise Cancelled

    limit = RateLimit(RATE, check, clock=lambda: 0, sleep=lambda _: pytest.fail("waited"))
    with pytest.raises(Cancelled):
        limit.read(2 * RATE)


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch, settings: Any) -> dict[str, int]:
    """Bytes by direction, without waits."""
    settings.BACKUP_MAX_BYTES_PER_SECOND = 1
    settings.LEASE_SECONDS = 60
    passed = dict.fromkeys(("read", "inserted", "stored"), 0)

    def account(self: RateLimit, direction: str, count: int) -> None:
        passed[direction] += count

    monkeypatch.setattr(rate_limit.RateLimit, "_pass", account)
    return passed


def test_a_backup_accounts_for_what_it_reads_and_stores(
    cluster: Cluster, milvus: MilvusClient, store: Any, work: Work, passed: dict[str, int]
) -> None:
    fill(milvus, rows=300)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    job = BackupJob.objects.select_related("backup").get(pk=job.pk)
    assert passed["stored"] == job.backup.size_bytes
    assert passed["read"] > 0
    assert passed["inserted"] == 0


def test_a_restore_accounts_for_what_it_inserts_and_reads_back(
    cluster: Cluster, milvus: MilvusClient, work: Work, passed: dict[str, int]
) -> None:
    fill(milvus, rows=300)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    read = passed["read"]
    backup = BackupJob.objects.select_related("backup").get(pk=job.pk).backup
    plan_restore(backup, cluster, on_conflict="REPLACE").submit(by="alice")
    work()
    assert passed["read"] == 2 * read
    assert passed["inserted"] > 0
