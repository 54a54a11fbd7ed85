from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from clusters import services
from clusters.models import Cluster
from tests.conftest import make_user
from vbase_console.api import health
from vbase_console.dashboard.support import machine
from vbase_console.tasks.attempts import claim
from vbase_console.tasks.models import Heartbeat, Task

SignIn = Callable[[User], Client]
MakeCluster = Callable[..., Cluster]


@pytest.fixture
def support(sam: User, signed_in: SignIn) -> Client:
    return signed_in(sam)


@pytest.fixture
def onlooker(db: None, signed_in: SignIn) -> Client:
    """Support staff who may look at everything and act on nothing."""
    user = make_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return signed_in(user)


@pytest.fixture
def failed_task(make_cluster: MakeCluster) -> Task:
    """A restart that a driver could not do."""
    task = services.restart_cluster(make_cluster(), by="alice@example.com")
    attempt = claim(task.task_id, worker="test")
    assert attempt is not None
    attempt.report(10, "starting", "Starting the server.")
    attempt.fail("While starting: the disk is full.")
    return Task.objects.get(pk=task.pk)


@pytest.fixture
def console_at_work(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part of the console reports, and the disk has room."""
    monkeypatch.setattr(health, "broker_answers", lambda: True)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(total=1, free=1))
    for part in ("worker", "beat", "worker:1", "sweeper:1"):
        Heartbeat.objects.create(part=part, at=timezone.now())
