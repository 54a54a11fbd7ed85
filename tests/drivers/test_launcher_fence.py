"""A worker that was overtaken is refused by the server itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from clusters.drivers.embedded.answers import Unreachable
from clusters.drivers.embedded.client import ControlClient
from clusters.drivers.embedded.server.fence import Fence, StaleAttempt
from tests.drivers.launched import CONTROL, TOKEN, Launched
from tests.milvus.rooms import endpoint


@pytest.fixture
def server(tmp_path: Path) -> Launched:
    started = Launched(tmp_path / "data").start()
    yield started  # type: ignore[misc]
    started.close()


def client(server: Launched, attempt: str, credential: str = CONTROL) -> Client:
    return Client(endpoint(server.port, credential, attempt=attempt))


def test_an_older_attempt_changes_nothing_once_a_newer_one_was_there(server: Launched) -> None:
    with client(server, "job-a-1") as older, client(server, "job-a-2") as newer:
        older.create_database("first")
        newer.server()
        with pytest.raises(MilvusError, match="Attempt 1 of job-a was superseded") as caught:
            older.create_database("second")
        assert caught.value.permanent
        assert "second" not in newer.databases()


def test_tasks_do_not_meet_and_who_names_none_is_let_through(server: Launched) -> None:
    with client(server, "job-a-9") as one, client(server, "job-b-1") as another:
        one.server()
        another.create_database("mine")
    with client(server, "") as nobody:
        nobody.drop_database("mine")


def test_a_tenant_overtakes_nobody(server: Launched) -> None:
    with client(server, "job-a-9", TOKEN) as tenant, client(server, "job-a-1") as job:
        tenant.server()
        assert job.databases() == ["default"]


def test_an_older_attempt_pins_nothing(server: Launched) -> None:
    control = ControlClient(server.port, CONTROL)
    wanted = {"database": "default", "collections": []}
    control.call("CreateSnapshot", name="newer", attempt="job-a-2", **wanted)
    with pytest.raises(Unreachable, match="was superseded"):
        control.call("CreateSnapshot", name="older", attempt="job-a-1", **wanted)
    assert control.call("ListSnapshots")["names"] == ["newer"]


def test_it_forgets_the_oldest_tasks_and_so_stays_small() -> None:
    fence = Fence()
    for number in range(10_001):
        fence.pass_through(f"job-{number}-2")
    fence.pass_through("job-0-1")
    with pytest.raises(StaleAttempt):
        fence.pass_through("job-5000-1")


def test_the_number_counts_and_not_its_digits() -> None:
    fence = Fence()
    fence.pass_through("job-a-9")
    fence.pass_through("job-a-10")
    with pytest.raises(StaleAttempt):
        fence.pass_through("job-a-9")
