"""Runs of a policy without the work that would create them, and an invented cluster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from backups import discovery
from backups.discovery import DiscoveredCollection
from backups.models import Backup
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.services import run_now
from tests.policies.conftest import end

Pretend = Callable[..., None]


def back_up(policy: BackupPolicy, **facts: object) -> Backup:
    """A run that has ended, as `end` is told."""
    run_now(policy, by="alice")
    return end(newest_run(policy), **facts)  # type: ignore[arg-type]


def newest_run(policy: BackupPolicy) -> PolicyRun:
    run = policy.runs.first()
    assert run is not None
    return run


def skip(policy: BackupPolicy, reason: str = "The cluster is STOPPED.") -> PolicyRun:
    run = PolicyRun.objects.create(
        organization_id=policy.organization_id,
        policy=policy,
        planned_at=timezone.now(),
        skip_reason=reason,
        retention_applied_at=timezone.now(),
    )
    BackupPolicy.objects.filter(pk=policy.pk).update(last_run=run)
    return run


def skip_often(policy: BackupPolicy, count: int) -> None:
    """Runs one minute apart, the last one now."""
    now = timezone.now()
    runs = PolicyRun.objects.bulk_create(
        PolicyRun(
            organization_id=policy.organization_id,
            policy=policy,
            planned_at=now - timedelta(minutes=number),
            skip_reason=f"Reason {number}.",
        )
        for number in range(count)
    )
    BackupPolicy.objects.filter(pk=policy.pk).update(last_run=runs[0])


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """A cluster that answers with these databases and their collections."""

    def pretend(**collections: list[str]) -> None:
        def collections_of(_: object, database: str) -> list[DiscoveredCollection]:
            return [
                DiscoveredCollection(name=name, rows=1234) for name in collections.get(database, [])
            ]

        monkeypatch.setattr(discovery, "databases_of", lambda _: list(collections))
        monkeypatch.setattr(discovery, "collections_of", collections_of)

    return pretend
