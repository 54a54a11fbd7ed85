"""The contract `clusters.drivers.base.ClusterDriver`, for all drivers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusters.drivers import load_driver
from clusters.drivers.base import (
    ClusterDriver,
    ClusterSpec,
    DriverError,
    Endpoint,
    Observation,
    Presence,
    Progress,
    SpecRefused,
)
from clusters.drivers.memory import MemoryDriver
from tests.contracts.driven import Driven, EmbeddedDriven, MemoryDriven

CLUSTER = "vc-contract"


@pytest.fixture(params=["memory", "memory in files", "embedded"])
def driven(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driven]:
    kinds: dict[str, Callable[[], Driven]] = {
        "memory": lambda: MemoryDriven(MemoryDriver()),
        "memory in files": lambda: MemoryDriven(MemoryDriver(tmp_path)),
        "embedded": lambda: EmbeddedDriven(tmp_path),
    }
    driven = kinds[request.param]()
    yield driven
    driven.close()


@pytest.fixture
def driver(driven: Driven) -> ClusterDriver:
    return driven.driver


@pytest.fixture
def spec(driver: ClusterDriver) -> ClusterSpec:
    version = driver.capabilities.versions[0]
    return ClusterSpec(cluster_id=CLUSTER, version=version, compute_units=1, token="first token")


@pytest.fixture
def running(driver: ClusterDriver, spec: ClusterSpec) -> ClusterSpec:
    done(driver.create(spec, allowed))
    return spec


class LostRight(Exception):
    """The caller may not go on."""


def allowed() -> None:
    """The guard of a caller that keeps its right."""


def forbidden() -> None:
    raise LostRight


def done(steps: Iterator[Progress]) -> list[Progress]:
    return list(steps)


def seen(driver: ClusterDriver) -> Observation:
    return driver.observe([CLUSTER])[CLUSTER]


def endpoint(driver: ClusterDriver) -> Endpoint:
    found = seen(driver).endpoint
    assert found is not None
    return found


# Creating


def test_create_makes_a_running_cluster(driver: ClusterDriver, running: ClusterSpec) -> None:
    found = seen(driver)
    assert found.presence is Presence.RUNNING
    assert found.effective_cores == 1
    assert found.started_at is not None


def test_its_token_opens_it_and_no_other(driven: Driven, running: ClusterSpec) -> None:
    assert driven.accepts(CLUSTER, running.token)
    assert not driven.accepts(CLUSTER, "another token")


def test_progress_rises_to_a_hundred(driver: ClusterDriver, spec: ClusterSpec) -> None:
    steps = done(driver.create(spec, allowed))
    percents = [step.percent for step in steps]
    assert percents == sorted(percents)
    assert (percents[0] >= 0, percents[-1]) == (True, 100)
    assert all(step.phase and step.message for step in steps)


def test_create_again_changes_nothing(driver: ClusterDriver, running: ClusterSpec) -> None:
    before = seen(driver)
    done(driver.create(running, allowed))
    assert seen(driver) == before


def test_create_goes_on_from_wherever_it_was_left(driver: ClusterDriver, spec: ClusterSpec) -> None:
    finished = False
    for steps_taken in range(1, 20):
        steps = driver.create(spec, allowed)
        taken = [step for step, _ in zip(steps, range(steps_taken), strict=False)]
        getattr(steps, "close", allowed)()
        finished = finished or taken[-1].percent == 100
    assert finished
    assert seen(driver).presence is Presence.RUNNING


@pytest.mark.parametrize(
    ("change", "there_is"),
    [
        ({"version": "0.0.1"}, "Use one of"),
        ({"replicas": 99}, "Use 1"),
        ({"compute_units": 0}, "at least 1"),
        ({"token": ""}, "token"),
    ],
)
def test_it_refuses_what_it_cannot_make_and_says_what_there_is(
    driver: ClusterDriver, spec: ClusterSpec, change: dict[str, object], there_is: str
) -> None:
    with pytest.raises(SpecRefused, match=there_is) as refused:
        driver.validate(dataclasses.replace(spec, **change))  # type: ignore[arg-type]
    assert refused.value.permanent
    assert driver.cluster_ids() == []


def test_a_spec_does_not_show_its_token(spec: ClusterSpec) -> None:
    assert spec.token not in repr(spec)


# Looking


def test_what_is_not_there_is_missing(driver: ClusterDriver) -> None:
    found = driver.observe(["vc-nothing", "vc-neither"])
    assert {each.presence for each in found.values()} == {Presence.MISSING}
    assert len(found) == 2


def test_observing_nobody_asks_nobody(driver: ClusterDriver) -> None:
    assert driver.observe([]) == {}


def test_it_lists_its_clusters(driver: ClusterDriver, running: ClusterSpec) -> None:
    assert driver.cluster_ids() == [CLUSTER]


def test_a_crash_is_seen(driven: Driven, running: ClusterSpec) -> None:
    driven.crash(CLUSTER)
    assert seen(driven.driver).presence is Presence.CRASHED


def test_load_is_measured_while_it_runs(driver: ClusterDriver, running: ClusterSpec) -> None:
    load = driver.load(CLUSTER)
    assert load is not None
    assert load.cores == 1
    assert load.cpu_seconds >= 0


def test_there_is_no_load_of_what_is_not_there(driver: ClusterDriver) -> None:
    assert driver.load("vc-nothing") is None


def test_running_clusters_are_measured_in_one_call(
    driver: ClusterDriver, running: ClusterSpec
) -> None:
    measured = driver.usage([CLUSTER, "vc-nothing"])
    assert list(measured) == [CLUSTER]
    assert (measured[CLUSTER].cpu_seconds or 0) >= 0


def test_the_end_of_its_log_is_bounded_and_without_the_token(
    driver: ClusterDriver, running: ClusterSpec
) -> None:
    log = driver.log_end(CLUSTER, 200)
    assert log.strip()
    assert running.token not in log
    assert driver.log_end(CLUSTER, 1) == log.splitlines()[-1]


def test_a_stopped_cluster_keeps_its_log(driver: ClusterDriver, running: ClusterSpec) -> None:
    done(driver.stop(CLUSTER, allowed))
    assert driver.log_end(CLUSTER, 200).strip()


def test_there_is_no_log_of_a_cluster_that_does_not_exist(driver: ClusterDriver) -> None:
    with pytest.raises(DriverError, match="no log") as refused:
        driver.log_end("vc-nothing", 200)
    assert refused.value.permanent


# Stopping and starting


def test_stop_is_no_crash(driver: ClusterDriver, running: ClusterSpec) -> None:
    done(driver.stop(CLUSTER, allowed))
    assert seen(driver).presence is Presence.STOPPED
    assert driver.load(CLUSTER) is None


def test_start_brings_it_back_where_it_was(driver: ClusterDriver, running: ClusterSpec) -> None:
    before = endpoint(driver)
    done(driver.stop(CLUSTER, allowed))
    done(driver.start(running, allowed))
    assert seen(driver).presence is Presence.RUNNING
    assert endpoint(driver) == before


def test_start_brings_back_what_crashed(driven: Driven, running: ClusterSpec) -> None:
    driven.crash(CLUSTER)
    done(driven.driver.start(running, allowed))
    assert seen(driven.driver).presence is Presence.RUNNING
    assert driven.accepts(CLUSTER, running.token)


def test_start_of_what_runs_changes_nothing(driver: ClusterDriver, running: ClusterSpec) -> None:
    before = seen(driver)
    done(driver.start(running, allowed))
    assert seen(driver) == before


def test_restart_starts_it_anew(driver: ClusterDriver, running: ClusterSpec) -> None:
    before = seen(driver)
    done(driver.restart(running, allowed))
    assert seen(driver).presence is Presence.RUNNING
    assert seen(driver).started_at != before.started_at


def test_stopping_and_deleting_what_is_not_there_succeeds(driver: ClusterDriver) -> None:
    assert done(driver.stop("vc-nothing", allowed))[-1].percent == 100
    assert done(driver.delete("vc-nothing", allowed))[-1].percent == 100
    assert driver.cluster_ids() == []


@pytest.mark.parametrize("before", ["running", "stopped", "crashed"])
def test_delete_leaves_nothing(driven: Driven, running: ClusterSpec, before: str) -> None:
    if before == "stopped":
        done(driven.driver.stop(CLUSTER, allowed))
    if before == "crashed":
        driven.crash(CLUSTER)
    done(driven.driver.delete(CLUSTER, allowed))
    assert seen(driven.driver).presence is Presence.MISSING
    assert driven.driver.cluster_ids() == []


def test_a_deleted_id_can_be_made_again(driver: ClusterDriver, running: ClusterSpec) -> None:
    done(driver.delete(CLUSTER, allowed))
    done(driver.create(running, allowed))
    assert seen(driver).presence is Presence.RUNNING


# Changing


def test_scaling_is_live(driver: ClusterDriver, running: ClusterSpec) -> None:
    before = seen(driver).started_at
    done(driver.scale(dataclasses.replace(running, compute_units=2), allowed))
    most = driver.capabilities.max_effective_cores or 2
    assert seen(driver).effective_cores == min(2, most)
    assert seen(driver).started_at == before


def test_more_units_than_cores_are_accepted(driver: ClusterDriver, running: ClusterSpec) -> None:
    done(driver.scale(dataclasses.replace(running, compute_units=64), allowed))
    assert seen(driver).effective_cores == driver.capabilities.max_effective_cores


def test_scaling_what_is_stopped_does_not_start_it(
    driver: ClusterDriver, running: ClusterSpec
) -> None:
    done(driver.stop(CLUSTER, allowed))
    assert done(driver.scale(running, allowed))[-1].percent == 100
    assert seen(driver).presence is Presence.STOPPED


def test_upgrading_ends_with_a_running_cluster(driver: ClusterDriver, running: ClusterSpec) -> None:
    assert done(driver.upgrade(running, allowed))[-1].percent == 100
    assert seen(driver).presence is Presence.RUNNING


def test_a_rotated_token_is_the_only_one_at_once(driven: Driven, running: ClusterSpec) -> None:
    before = seen(driven.driver).started_at
    driven.driver.rotate(dataclasses.replace(running, token="second token"), allowed)
    assert driven.accepts(CLUSTER, "second token")
    assert not driven.accepts(CLUSTER, running.token)
    assert seen(driven.driver).started_at == before


def test_a_stopped_cluster_takes_a_rotated_token_at_its_start(
    driven: Driven, running: ClusterSpec
) -> None:
    rotated = dataclasses.replace(running, token="second token")
    done(driven.driver.stop(CLUSTER, allowed))
    driven.driver.rotate(rotated, allowed)
    done(driven.driver.start(rotated, allowed))
    assert driven.accepts(CLUSTER, "second token")
    assert not driven.accepts(CLUSTER, running.token)


# Guards


@pytest.mark.parametrize("method", ["create", "start", "restart", "scale", "upgrade"])
def test_whoever_lost_the_right_changes_nothing(
    driver: ClusterDriver, spec: ClusterSpec, method: str
) -> None:
    with pytest.raises(LostRight):
        done(getattr(driver, method)(spec, forbidden))
    assert seen(driver).presence is Presence.MISSING


@pytest.mark.parametrize("method", ["stop", "delete"])
def test_whoever_lost_the_right_ends_nothing(
    driver: ClusterDriver, running: ClusterSpec, method: str
) -> None:
    with pytest.raises(LostRight):
        done(getattr(driver, method)(CLUSTER, forbidden))
    assert seen(driver).presence is Presence.RUNNING


def test_whoever_lost_the_right_rotates_nothing(driven: Driven, running: ClusterSpec) -> None:
    with pytest.raises(LostRight):
        driven.driver.rotate(dataclasses.replace(running, token="second token"), forbidden)
    assert driven.accepts(CLUSTER, running.token)


# Choosing


def test_an_unknown_driver_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="embedded, memory"):
        load_driver("kubernetes", data_dir=tmp_path, control_key=b"k" * 32)


@pytest.mark.parametrize("name", ["embedded", "memory"])
def test_drivers_are_loaded_by_name(tmp_path: Path, name: str) -> None:
    driver = load_driver(name, data_dir=tmp_path, control_key=b"k" * 32)
    assert driver.capabilities.name == name
    assert driver.cluster_ids() == []


def test_it_tells_how_much_room_there_is_or_that_it_cannot(
    driver: ClusterDriver, running: ClusterSpec
) -> None:
    free = driver.free_bytes(CLUSTER)
    assert free is None or free > 0
    assert driver.free_bytes("vc-nobody") is None
    assert (driver.free_bytes_for_new() or 1) > 0
