from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from tests.api.client import Api, Said
from vbase_console.api import health
from vbase_console.organizations.models import Organization
from vbase_console.tasks.models import Heartbeat, Task, database_time_in
from vbase_console.tasks.states import TaskState
from vbase_console.tasks.sweeps import beat_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Decide by `answers` if the broker answers in this test."""
    state = {"answers": True}
    monkeypatch.setattr(health, "broker_answers", lambda: state["answers"])
    return state


@pytest.fixture
def well() -> None:
    for part in ("worker", "beat", "worker:1", "sweeper:1"):
        beat_of(part)


def check(without_key: Api) -> Said:
    return without_key.get("/healthz")


@pytest.mark.usefixtures("well")
def test_when_all_are_at_work_it_serves(without_key: Api) -> None:
    said = check(without_key)
    assert (said.status, said["status"]) == (200, "SERVING")
    assert said["response"] == {"success": True}


@pytest.mark.usefixtures("well")
def test_it_names_every_component(without_key: Api) -> None:
    components = check(without_key)["components"]
    assert set(components) == {
        *("database", "broker", "worker", "beat", "store", "confinement", "oldestOverduePolicy")
    }
    assert components["oldestOverduePolicy"] is None
    assert components["worker"]["lastSeenAt"].endswith("Z")


@pytest.mark.usefixtures("well")
def test_a_key_is_neither_needed_nor_looked_at(without_key: Api) -> None:
    without_key.key = "wrong"
    assert check(without_key).status == 200


@pytest.mark.usefixtures("well")
def test_without_a_broker_it_is_degraded(without_key: Api, broker: dict[str, bool]) -> None:
    broker["answers"] = False
    said = check(without_key)
    assert (said.status, said["status"]) == (200, "DEGRADED")
    assert said["components"]["broker"]["status"] == "NOT_SERVING"


@pytest.mark.parametrize("part", ["worker", "beat", "worker:1"])
@pytest.mark.parametrize("minutes", [-5, 5], ids=["from the past", "from the future"])
@pytest.mark.usefixtures("well")
def test_whoever_was_not_seen_for_a_while_is_missed(
    without_key: Api, part: str, minutes: int
) -> None:
    Heartbeat.objects.filter(part=part).update(at=timezone.now() + timedelta(minutes=minutes))
    said = check(without_key)
    assert said["status"] == "DEGRADED"
    assert said["components"][part.partition(":")[0]]["status"] == "NOT_SERVING"


def test_before_the_first_sweep_it_names_no_worker_that_was_lost(
    without_key: Api, settings: Any
) -> None:
    """A sweeper may be alive and wait for its first message, or for a broker that hangs."""
    settings.SWEEP_SECONDS = 10
    beat_of("worker:1")
    worker = check(without_key)["components"]["worker"]
    assert worker["message"].startswith("No sweep has run for 35 seconds.")


def test_without_a_broker_it_names_what_waits(without_key: Api, broker: dict[str, bool]) -> None:
    broker["answers"] = False
    message = check(without_key)["components"]["broker"]["message"]
    assert message == "The broker does not answer. Accepted tasks start when it is back."


@pytest.mark.parametrize("part", ["worker:2", "sweeper:2"])
@pytest.mark.usefixtures("well")
def test_a_process_that_takes_no_messages_degrades_it_until_it_is_gone(
    without_key: Api, part: str
) -> None:
    beat_of(part, is_working=False)
    worker = check(without_key)["components"]["worker"]
    assert worker["status"] == "NOT_SERVING"
    assert worker["message"].startswith("1 of 3 workers and sweepers")
    Heartbeat.objects.filter(part=part).update(at=timezone.now() - timedelta(minutes=1))
    assert check(without_key)["status"] == "SERVING"


@pytest.mark.parametrize(
    ("lease_seconds", "status"),
    [(30, "SERVING"), (-1, "NOT_SERVING"), (3600, "NOT_SERVING")],
    ids=["lives", "has ended", "is from before the clock was set back"],
)
def test_a_worker_whose_hands_are_full_is_at_work_until_its_lease_ends(
    without_key: Api, organization: Organization, settings: Any, lease_seconds: int, status: str
) -> None:
    settings.LEASE_SECONDS = 30
    Task.objects.create(
        task_id="task-1",
        organization=organization,
        kind="RESTART",
        state=TaskState.RUNNING,
        lease_until=database_time_in(lease_seconds),
    )
    assert check(without_key)["components"]["worker"]["status"] == status


def test_without_a_database_it_does_not_serve(
    without_key: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: object) -> None:
        raise OperationalError("host=10.0.0.1")

    monkeypatch.setattr(Heartbeat.objects, "all", away)
    said = check(without_key)
    assert (said.status, said.code) == (503, "UNAVAILABLE")
    assert "10.0.0.1" not in str(said.body)


def test_a_broker_that_nobody_started_does_not_answer() -> None:
    assert health._reach_broker() is False


def test_the_broker_is_not_asked_at_every_call() -> None:
    asked: list[int] = []
    answers = health.CachedCheck(lambda: not asked.append(1), 60)
    assert [answers(), answers()] == [True, True]
    assert len(asked) == 1
    answers.forget()
    answers()
    assert len(asked) == 2
