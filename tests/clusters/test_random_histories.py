"""Random histories of what people, workers, machines and sweeps do to one cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from clusters import services
from clusters.admission import unfinished
from clusters.drivers.base import DriverError, Presence
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.states import status_of
from clusters.sweeps import sweep_clusters
from tests.tasks.trials import end_lease
from vbase_console.core.errors import ConsoleError
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.attempts import claim
from vbase_console.tasks.models import Task, TaskEvent, database_time_in
from vbase_console.tasks.states import FINISHED
from vbase_console.tasks.worker import run_task


class Histories(RuleBasedStateMachine):
    """The model is small: what was accepted, in order, and whether the cluster was removed."""

    def __init__(self, principal: Principal, driver: MemoryDriver) -> None:
        super().__init__()
        TaskEvent.objects.all().delete()
        Task.objects.all().delete()
        Cluster.objects.all().delete()
        driver._failures.clear()
        with driver._store.opened() as clusters:
            clusters.clear()
        self.driver = driver
        self.cluster, _ = services.create_cluster(principal, name="vectors")
        self.finished: set[str] = set()

    # What people ask

    @rule(units=st.integers(1, 6))
    def scale(self, units: int) -> None:
        self._ask(services.scale_cluster, changes={"compute_units": units})

    @rule()
    def stop(self) -> None:
        self._ask(services.stop_cluster)

    @rule()
    def start(self) -> None:
        self._ask(services.start_cluster)

    @rule()
    def restart(self) -> None:
        self._ask(services.restart_cluster)

    @rule(really=st.integers(0, 5))
    def delete(self, really: int) -> None:
        if really == 0:
            self._ask(services.delete_cluster)

    @rule(which=st.integers(0, 20))
    def cancel(self, which: int) -> None:
        self._on_one_of(Task.objects.active(), which, services.cancel_task)

    @rule(which=st.integers(0, 20))
    def retry(self, which: int) -> None:
        def again(task: Task, by: str) -> object:
            return services.retry_task(self.cluster, task, by=by)

        self._on_one_of(Task.objects.filter(state__in=["FAILED", "CANCELLED"]), which, again)

    # What workers and machines do

    @rule()
    def a_worker_works(self) -> None:
        for task in Task.objects.ready():
            run_task(task.task_id)

    @rule()
    def a_worker_begins_and_dies(self) -> None:
        for task in Task.objects.ready():
            claim(task.task_id, worker="dies")
            end_lease(task)

    @rule()
    def another_worker_takes_over(self) -> None:
        for task in Task.objects.abandoned():
            run_task(task.task_id)

    @rule(operation=st.sampled_from(["create", "scale", "start", "stop", "restart", "delete"]))
    def the_next_operation_fails_in_passing(self, operation: str) -> None:
        self.driver.fail_next(operation, DriverError("in passing"))

    @rule(operation=st.sampled_from(["create", "scale", "start", "stop", "restart", "delete"]))
    def the_next_operation_fails_for_good(self, operation: str) -> None:
        self.driver.fail_next(operation, DriverError("for good", permanent=True))

    @rule()
    def it_crashes(self) -> None:
        seen = self.driver.observe([self.cluster.pk])[self.cluster.pk]
        if seen.presence is Presence.RUNNING:
            self.driver.crash(self.cluster.pk)

    @rule()
    def time_passes(self) -> None:
        """Pauses and leases end: between two steps no worker is alive."""
        Task.objects.filter(lease_until__isnull=False).update(lease_until=database_time_in(-1))
        Task.objects.filter(state="PENDING").update(not_before=database_time_in(-1))
        Task.objects.filter(finished_at__isnull=False).update(finished_at=database_time_in(-3600))

    @rule()
    def the_sweep_looks(self) -> None:
        sweep_clusters()

    # What always holds

    @invariant()
    def at_most_one_holds_the_lock(self) -> None:
        assert Task.objects.filter(holds_lock=True).count() <= 1

    @invariant()
    def the_status_is_the_derived_one(self) -> None:
        row = self._row()
        kinds = [task.kind for task in unfinished(row)]
        assert row.status == status_of(row.condition, kinds, change_failed=row.change_failed)

    @invariant()
    def the_order_is_kept(self) -> None:
        """If two tasks of one priority have both begun, the older one began first."""
        begun = Task.objects.exclude(started_at=None).order_by("priority", "pk")
        for priority in set(begun.values_list("priority", flat=True)):
            first = list(begun.filter(priority=priority).values_list("started_at", flat=True))
            assert first == sorted(first)

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        ended = Task.objects.filter(state__in=FINISHED).values_list("task_id", flat=True)
        assert self.finished <= set(ended)
        self.finished = set(ended)

    @invariant()
    def only_success_is_a_hundred(self) -> None:
        assert not Task.objects.filter(progress=100).exclude(state="SUCCEEDED").exists()

    @invariant()
    def a_deleted_cluster_is_gone(self) -> None:
        if self._row().status == "DELETED":
            assert self.driver.cluster_ids() == []
            assert not Task.objects.active().exists()

    def teardown(self) -> None:
        """Workers run and nothing fails any more: all that was accepted comes to its end, and the
        cluster to what is wanted. A round that changes nothing would be repeated as it was.
        """
        self.driver._failures.clear()
        before = None
        for _ in range(60):
            self.time_passes()
            self.another_worker_takes_over()
            self.a_worker_works()
            sweep_clusters()
            self.at_most_one_holds_the_lock()
            if before == (before := self._facts()):
                break
        assert not Task.objects.active().exists()
        self._is_what_is_wanted(self._row())

    def _is_what_is_wanted(self, row: Cluster) -> None:
        seen = self.driver.observe([row.pk])[row.pk].presence
        if row.status in ("RUNNING", "UPDATE_FAILED"):
            assert (seen, row.wanted_running) == (Presence.RUNNING, True)
        elif row.status == "STOPPED":
            assert seen is Presence.STOPPED
        elif row.status == "DELETED":
            assert seen is Presence.MISSING
        else:
            assert row.condition == "ABSENT" or "failed" in row.status_message

    def _facts(self) -> tuple[object, ...]:
        """All of a round but its times."""
        row = self._row()
        presence = self.driver.observe([row.pk])[row.pk].presence
        tasks = list(Task.objects.order_by("pk").values_list("pk", "state", "epoch", "message"))
        return presence, row.condition, row.status, row.status_message, row.wanted_running, tasks

    def _row(self) -> Cluster:
        return Cluster.objects.get(pk=self.cluster.pk)

    def _ask(self, service: Callable[..., object], **fields: object) -> None:
        with contextlib.suppress(ConsoleError):
            service(self.cluster, by="alice", **fields)

    def _on_one_of(self, tasks: Any, which: int, act: Callable[..., object]) -> None:
        rows = list(tasks.order_by("pk"))
        with contextlib.suppress(ConsoleError, ZeroDivisionError):
            act(rows[which % len(rows)], by="alice")


def _histories(principal: Principal, driver: MemoryDriver, *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: Histories(principal, driver),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_happens_what_must_hold_holds(
    transactional_db: None, principal: Principal, driver: MemoryDriver
) -> None:
    _histories(principal, driver, examples=8, steps=20)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_whatever_happens_for_long_what_must_hold_holds(
    transactional_db: None, principal: Principal, driver: MemoryDriver
) -> None:
    _histories(principal, driver, examples=100, steps=40)
