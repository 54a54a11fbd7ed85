"""The cast and the factories. Alice owns, Bob may look, Charlie is a stranger, Sam is support."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from clusters import driver as clusters_driver
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.services import create_cluster
from tests.deployed import can_be_deployed_at_once, deploy_at_once
from tests.emptying import emptied_quickly
from tests.full_milvus.server import pytest_configure as pytest_configure
from tests.live import console as console
from tests.migrated import TEMPLATE_VARIABLE, copy_migrated
from tests.order import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.order import pytest_runtest_setup as pytest_runtest_setup
from tests.order import pytest_runtest_teardown as pytest_runtest_teardown
from tests.order import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler
from tests.s3.server import s3_server as s3_server
from tests.s3.server import s3_url as s3_url
from tests.skips import pytest_make_collect_report as pytest_make_collect_report
from tests.skips import pytest_runtest_makereport as pytest_runtest_makereport
from vbase_console.api import authentication
from vbase_console.organizations.authentication import principal_of_member
from vbase_console.organizations.models import Organization
from vbase_console.organizations.rejected_keys import RejectedKeys
from vbase_console.organizations.scopes import ALL_SCOPES, Role
from vbase_console.organizations.services import add_member, create_organization, issue_api_key
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks import services as task_services
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState
from vbase_console.tasks.worker import run_task

PASSWORD = "a long enough password"

# In the background of a script both are ignored, and whatever tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy machine")


def pytest_collection() -> None:
    """Collection creates hundreds of thousands of objects, and all of them stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """The garbage collector need not look at the tests and all that they import again and again."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """DuckDB reports all that is not collected when the process ends."""
    if "duckdb" in sys.modules:
        atexit.unregister(gc.freeze)
        gc.unfreeze()


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_modify_db_settings: None) -> bool:
    """Begin with a migrated database. The directory of the settings is removed at the end."""
    test = connection.settings_dict["TEST"]
    if connection.vendor == "sqlite":
        copy_migrated(Path(test["NAME"]))
        return True
    test["TEMPLATE"] = os.environ.get(TEMPLATE_VARIABLE)
    return False


@pytest.fixture(scope="session", autouse=True)
def _tests_leave_an_empty_database() -> Iterator[None]:
    with emptied_quickly():
        yield


@pytest.fixture(autouse=True)
def _no_message_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is the truth: tests call `work()` where a worker would have been woken."""
    monkeypatch.setattr(task_services, "wake", lambda task_id: True)
    monkeypatch.setattr(task_services, "wake_all", len)


@pytest.fixture(autouse=True)
def _no_test_answers_for_the_wrong_keys_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    own = RejectedKeys(timer=lambda seconds, function: None)
    monkeypatch.setattr(authentication, "rejected_keys", own)


@pytest.fixture
def memory_driver() -> Iterator[MemoryDriver]:
    """A memory driver of this test's own behind `get_driver`."""
    clusters_driver.get_driver.cache_clear()
    own = MemoryDriver()
    original = clusters_driver.load_driver
    clusters_driver.load_driver = lambda *a, **k: own  # type: ignore[assignment]
    yield own
    clusters_driver.load_driver = original
    clusters_driver.get_driver.cache_clear()


@pytest.fixture(autouse=True)
def driver(memory_driver: MemoryDriver) -> MemoryDriver:
    return memory_driver


def make_user(name: str, **extra: Any) -> User:
    email = f"{name}@example.com"
    return User.objects.create_user(email, email, PASSWORD, **extra)


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def organization(alice: User) -> Organization:
    return create_organization(name="acme", owner=alice)


@pytest.fixture
def bob(organization: Organization) -> User:
    user = make_user("bob")
    add_member(organization, user=user, role=Role.VIEWER)
    return user


@pytest.fixture
def olga(organization: Organization) -> User:
    """An operator: everything but deleting."""
    user = make_user("olga")
    add_member(organization, user=user, role=Role.OPERATOR)
    return user


@pytest.fixture
def charlie(db: None) -> User:
    """Owns an organization of his own, and is a stranger to Alice's."""
    user = make_user("charlie")
    create_organization(name="other", owner=user)
    return user


@pytest.fixture
def sam(db: None) -> User:
    return make_user("sam", is_staff=True, is_superuser=True)


@pytest.fixture
def principal(alice: User, organization: Organization) -> Principal:
    return principal_of_member(alice, organization.name)


@pytest.fixture
def api_key(organization: Organization) -> str:
    return issue_api_key(organization, name="ci", scopes=ALL_SCOPES)[1]


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def work() -> Callable[[], int]:
    """Do everything that is ready, as workers would; answers how many attempts were made."""

    def work() -> int:
        attempts = 0
        while ready := Task.objects.ready().order_by("pk").first():
            run_task(ready.task_id)
            attempts += 1
            while _left_by_its_attempt(ready):
                time.sleep(0.05)
                run_task(ready.task_id)
        return attempts

    return work


def _left_by_its_attempt(task: Task) -> bool:
    """A machine that stood still for longer than a lease ends an attempt, as it should; in life a
    sweep has another one begun.
    """
    return Task.objects.filter(pk=task.pk, state=TaskState.RUNNING).exists()


@pytest.fixture
def make_cluster(
    principal: Principal, work: Callable[[], int], transactional_db: None
) -> Callable[..., Cluster]:
    """A cluster that runs; `running=False` leaves its DEPLOYMENT waiting."""

    def make(name: str = "vectors", *, running: bool = True, **fields: Any) -> Cluster:
        cluster, task = create_cluster(principal, name=name, **fields)
        if running:
            deploy_at_once(cluster, task) if can_be_deployed_at_once(task) else work()
            cluster.refresh_from_db()
        return cluster

    return make
