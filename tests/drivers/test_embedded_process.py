"""The processes of the embedded driver: found, outliving, told apart, and alone."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from clusters.drivers.base import ClusterSpec, DriverError, Presence
from clusters.drivers.embedded.client import ControlClient
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.layout import ClusterDirectory, is_free
from clusters.drivers.embedded.lifecycle import HEALTH_SECONDS
from clusters.drivers.embedded.process import environment
from clusters.drivers.embedded.record import ProcessIdentity, start_of
from clusters.drivers.embedded.shutdown import stop_all
from clusters.drivers.sandbox.limits import UNTOUCHED_BYTES
from clusters.drivers.sandbox.process import Level
from tests.drivers.launched import encoded, raw_call, wait_for

KEY = b"a key for tests, of 32 bytes...."
TOKEN = "the token of this test"
SECRETS = {
    "VBASE_SECRET_KEY": "s1",
    "VBASE_DATABASE_URL": "s2",
    "VBASE_BROKER_URL": "s3",
    "VBASE_OWNER_PASSWORD": "s4",
    "AWS_SECRET_ACCESS_KEY": "s5",
    "PGPASSWORD": "s6",
}


def allowed() -> None:
    """The guard of a caller that keeps its right."""


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[EmbeddedDriver]:
    yield EmbeddedDriver(tmp_path, KEY, start_timeout_seconds=120)
    stop_all(tmp_path, 20)


@pytest.fixture
def spec(driver: EmbeddedDriver) -> ClusterSpec:
    return make_spec(driver, "vc-1")


@pytest.fixture
def directory(tmp_path: Path) -> ClusterDirectory:
    return ClusterDirectory(tmp_path, "vc-1")


@pytest.fixture
def identity(
    driver: EmbeddedDriver, spec: ClusterSpec, directory: ClusterDirectory
) -> ProcessIdentity:
    """A running cluster's process."""
    list(driver.create(spec, allowed))
    return living(directory)


def make_spec(driver: EmbeddedDriver, cluster_id: str) -> ClusterSpec:
    version = driver.capabilities.versions[0]
    return ClusterSpec(cluster_id=cluster_id, version=version, compute_units=1, token=TOKEN)


def living(directory: ClusterDirectory) -> ProcessIdentity:
    found = directory.process()
    assert found is not None
    return found


def presence(driver: EmbeddedDriver, cluster_id: str = "vc-1") -> Presence:
    return driver.observe([cluster_id])[cluster_id].presence


def kill(identity: ProcessIdentity) -> None:
    os.kill(identity.pid, signal.SIGKILL)
    wait_for(lambda: not identity.is_alive())


@pytest.fixture
def time_outs(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Method of a cluster → its longest time-out."""
    call, seen = ControlClient.call, {}

    def noted(
        self: ControlClient, method: str, *, timeout_seconds: float = 10, **given: Any
    ) -> Any:
        seen[method] = timeout_seconds
        return call(self, method, timeout_seconds=timeout_seconds, **given)

    monkeypatch.setattr(ControlClient, "call", noted)
    return seen


def test_a_rotation_is_waited_for_as_short_as_a_health_call(
    driver: EmbeddedDriver,
    spec: ClusterSpec,
    identity: ProcessIdentity,
    time_outs: dict[str, float],
) -> None:
    driver.rotate(dataclasses.replace(spec, token="another token"), allowed)
    assert time_outs == {"Rotate": HEALTH_SECONDS}


# What the process knows


def test_it_inherits_no_secret(
    driver: EmbeddedDriver,
    spec: ClusterSpec,
    directory: ClusterDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    list(driver.create(spec, allowed))
    assert not set(psutil.Process(living(directory).pid).environ()) & set(SECRETS)


def test_it_carries_the_data_directory(tmp_path: Path) -> None:
    kept = environment({"PATH": "/bin", **SECRETS}, tmp_path)
    assert (kept["VBASE_DATA_DIR"], kept["PATH"]) == (str(tmp_path), "/bin")


def test_no_credential_is_in_its_arguments_environment_or_files(
    identity: ProcessIdentity, tmp_path: Path
) -> None:
    process = psutil.Process(identity.pid)
    seen = [json.dumps(process.cmdline()), json.dumps(process.environ())]
    seen += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in seen if TOKEN in text or encoded(TOKEN) in text]


def test_its_files_are_the_owners_alone(identity: ProcessIdentity, tmp_path: Path) -> None:
    paths = [tmp_path / "clusters", *(tmp_path / "clusters").rglob("*")]
    assert not [path for path in paths if path.exists() and path.stat().st_mode & 0o077]


def test_it_inherits_no_socket(
    driver: EmbeddedDriver, spec: ClusterSpec, directory: ClusterDirectory
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        os.set_inheritable(ours.fileno(), True)
        list(driver.create(spec, allowed))
        ports = {
            each.laddr.port for each in psutil.Process(living(directory).pid).net_connections()
        }
        assert ours.getsockname()[1] not in ports


# Finding it again


def test_another_driver_finds_it(identity: ProcessIdentity, tmp_path: Path) -> None:
    assert presence(EmbeddedDriver(tmp_path, KEY)) is Presence.RUNNING


def test_a_driver_with_another_key_is_not_let_in(identity: ProcessIdentity, tmp_path: Path) -> None:
    found = EmbeddedDriver(tmp_path, b"another key of 32 bytes.........").observe(["vc-1"])["vc-1"]
    assert found.presence is Presence.STARTING
    assert "credential" in found.message


def test_it_outlives_whoever_started_it(spec: ClusterSpec, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CREATE, str(tmp_path), spec.version], check=True)
    assert presence(EmbeddedDriver(tmp_path, KEY)) is Presence.RUNNING
    assert living(ClusterDirectory(tmp_path, "vc-1")).pid


CREATE = f"""
import pathlib, sys
from clusters.drivers.base import ClusterSpec
from clusters.drivers.embedded.driver import EmbeddedDriver

driver = EmbeddedDriver(pathlib.Path(sys.argv[1]), {KEY!r}, 120)
spec = ClusterSpec(cluster_id="vc-1", version=sys.argv[2], compute_units=1, token={TOKEN!r})
list(driver.create(spec, lambda: None))
"""


def test_a_pid_of_another_start_is_another_process(
    identity: ProcessIdentity, directory: ClusterDirectory
) -> None:
    other = dataclasses.replace(identity, start=f"{identity.start}0")
    assert identity.is_alive()
    assert not other.is_alive()


def test_a_zombie_counts_as_gone() -> None:
    with subprocess.Popen(["sleep", "0.2"]) as child:
        zombie = ProcessIdentity(pid=child.pid, start=start_of(child.pid), port=1)
        assert zombie.is_alive()
        wait_for(lambda: not zombie.is_alive())


def test_what_never_was_is_not_alive() -> None:
    assert not ProcessIdentity(pid=2**22 + 1, start="then", port=1).is_alive()


def test_an_unreadable_record_is_no_process(tmp_path: Path) -> None:
    (tmp_path / "process.json").write_text("{")
    assert ProcessIdentity.read(tmp_path) is None


# Being alone


def test_two_creates_at_once_make_one_process(
    driver: EmbeddedDriver, directory: ClusterDirectory, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as processes:
        seen = processes.map(create_elsewhere, [str(tmp_path)] * 3)
    pids = {process.pid for process in psutil.process_iter() if _serves(process, directory)}
    assert len(pids) == 1
    assert seen == ["RUNNING"] * 3


def create_elsewhere(data_dir: str) -> str:
    driver = EmbeddedDriver(Path(data_dir), KEY, start_timeout_seconds=120)
    list(driver.create(make_spec(driver, "vc-1"), allowed))
    return presence(driver).value


def _serves(process: psutil.Process, directory: ClusterDirectory) -> bool:
    try:
        return str(directory.data) in process.cmdline()
    except psutil.Error:
        return False


def test_whoever_waits_too_long_for_the_lock_is_told(
    directory: ClusterDirectory,
) -> None:
    with (
        directory.locked(),
        pytest.raises(DriverError, match="Try again"),
        directory.locked(timeout_seconds=0.1),
    ):
        pass


def test_deleting_leaves_no_lock_file(
    driver: EmbeddedDriver, identity: ProcessIdentity, tmp_path: Path
) -> None:
    list(driver.delete("vc-1", allowed))
    assert not identity.is_alive()
    assert [path.name for path in (tmp_path / "clusters").iterdir()] == ["ports.lock"]


# Ports


def test_a_port_is_kept_while_it_is_free(
    driver: EmbeddedDriver, spec: ClusterSpec, directory: ClusterDirectory
) -> None:
    list(driver.create(spec, allowed))
    before = living(directory).port
    list(driver.restart(spec, allowed))
    assert living(directory).port == before


def test_a_port_that_was_taken_meanwhile_is_replaced(
    driver: EmbeddedDriver, spec: ClusterSpec, identity: ProcessIdentity
) -> None:
    list(driver.stop("vc-1", allowed))
    with socket.create_server(("127.0.0.1", identity.port)):
        list(driver.start(spec, allowed))
        endpoint = driver.observe(["vc-1"])["vc-1"].endpoint
    assert endpoint is not None
    assert endpoint.port != identity.port


def test_clusters_have_ports_of_their_own_even_when_stopped(
    driver: EmbeddedDriver, tmp_path: Path
) -> None:
    for number in range(5):
        next(driver.create(make_spec(driver, f"vc-{number}"), allowed))
    states = [ClusterDirectory(tmp_path, f"vc-{number}").state() for number in range(5)]
    assert len({state.port for state in states if state is not None}) == 5


def test_a_deleted_clusters_port_is_free(driver: EmbeddedDriver, identity: ProcessIdentity) -> None:
    list(driver.delete("vc-1", allowed))
    assert is_free(identity.port)


# Failing


def test_a_failing_start_quotes_the_log(
    driver: EmbeddedDriver, spec: ClusterSpec, directory: ClusterDirectory
) -> None:
    next(driver.create(spec, allowed))
    (directory.data / "collections").write_text("a file where a directory belongs")
    with pytest.raises(DriverError, match="FileExistsError"):
        list(driver.start(spec, allowed))


def test_a_server_that_does_not_answer_is_given_up_with_the_reason(
    spec: ClusterSpec, identity: ProcessIdentity, tmp_path: Path
) -> None:
    impatient = EmbeddedDriver(tmp_path, KEY, start_timeout_seconds=0.5)
    os.kill(identity.pid, signal.SIGSTOP)
    try:
        with pytest.raises(DriverError, match="did not answer in time"):
            list(impatient.start(spec, allowed))
    finally:
        os.kill(identity.pid, signal.SIGCONT)


def test_a_stopped_process_is_seen_as_starting(
    driver: EmbeddedDriver, identity: ProcessIdentity
) -> None:
    os.kill(identity.pid, signal.SIGSTOP)
    try:
        assert presence(driver) is Presence.STARTING
    finally:
        os.kill(identity.pid, signal.SIGCONT)


def test_one_unreadable_cluster_hides_no_other(
    driver: EmbeddedDriver, identity: ProcessIdentity, tmp_path: Path
) -> None:
    broken = ClusterDirectory(tmp_path, "vc-broken")
    broken.make()
    (broken.path / "cluster.json").write_text("{")
    found = driver.observe(["vc-1", "vc-broken", "../../etc"])
    assert found["vc-1"].presence is Presence.RUNNING
    assert "The next start writes it" in found["vc-broken"].message
    assert "cannot be a cluster's id" in found["../../etc"].message


def test_a_cluster_whose_state_is_lost_can_be_started_and_deleted(
    driver: EmbeddedDriver, spec: ClusterSpec, identity: ProcessIdentity, tmp_path: Path
) -> None:
    kill(identity)
    (tmp_path / "clusters" / "vc-1" / "cluster.json").write_text("{")
    list(driver.start(spec, allowed))
    assert presence(driver) is Presence.RUNNING
    (tmp_path / "clusters" / "vc-1" / "cluster.json").write_text("{")
    list(driver.delete("vc-1", allowed))
    assert presence(driver) is Presence.MISSING


def test_a_crash_says_how_the_log_ended(driver: EmbeddedDriver, identity: ProcessIdentity) -> None:
    kill(identity)
    found = driver.observe(["vc-1"])["vc-1"]
    assert found.presence is Presence.CRASHED
    assert "serving on 127.0.0.1" in found.message


# Stopping all


def test_stop_all_ends_every_cluster_as_stopped(driver: EmbeddedDriver, tmp_path: Path) -> None:
    for name in ("vc-1", "vc-2"):
        list(driver.create(make_spec(driver, name), allowed))
    assert stop_all(tmp_path, 30) == ["vc-1", "vc-2"]
    assert {presence(driver, name) for name in ("vc-1", "vc-2")} == {Presence.STOPPED}


def test_stop_all_kills_what_does_not_end_in_time(
    driver: EmbeddedDriver, identity: ProcessIdentity, tmp_path: Path
) -> None:
    os.kill(identity.pid, signal.SIGSTOP)
    assert stop_all(tmp_path, 2) == ["vc-1"]
    assert presence(driver) is Presence.STOPPED


def test_stop_all_of_nothing_is_nothing(tmp_path: Path) -> None:
    assert stop_all(tmp_path / "nowhere", 5) == []


@pytest.mark.parametrize("cluster_id", ["", "../up", "a/b", ".hidden", "a" * 200])
def test_an_id_that_is_no_name_of_a_directory_is_refused(tmp_path: Path, cluster_id: str) -> None:
    with pytest.raises(DriverError, match="cannot be a cluster's id"):
        ClusterDirectory(tmp_path, cluster_id)


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        EmbeddedDriver(tmp_path, b"short")


def test_the_token_of_one_cluster_opens_no_other(driver: EmbeddedDriver, tmp_path: Path) -> None:
    for number in (1, 2):
        each = dataclasses.replace(make_spec(driver, f"vc-{number}"), token=f"token {number}")
        list(driver.create(each, allowed))
    port = living(ClusterDirectory(tmp_path, "vc-1")).port
    method = "/milvus.proto.milvus.MilvusService/GetVersion"
    codes = [raw_call(port, method, encoded(f"token {number}")).name for number in (1, 2)]
    assert codes == ["OK", "UNAUTHENTICATED"]


def test_waiting_callers_may_stop_between_steps(
    driver: EmbeddedDriver, spec: ClusterSpec, directory: ClusterDirectory
) -> None:
    steps = driver.create(spec, allowed)
    phases: list[str] = [next(steps).phase, next(steps).phase]
    close: Callable[[], None] = steps.close  # type: ignore[attr-defined]
    close()
    with directory.locked(timeout_seconds=5):
        assert phases == ["preparing", "starting"]


def test_only_the_end_of_a_long_log_is_read(directory: ClusterDirectory) -> None:
    directory.make()
    with directory.log.open("wb") as log:
        log.truncate(10 * 1024**3)
        log.seek(0, os.SEEK_END)
        log.write(b"\nthe last line\n")
    assert directory.log_end(1) == "the last line"


# Confinement


def test_its_process_reports_its_confinement(
    driver: EmbeddedDriver, identity: ProcessIdentity
) -> None:
    assert driver.capabilities.confinement is Level.FULL
    assert driver.observe(["vc-1"])["vc-1"].confinement is Level.FULL


def test_a_process_of_an_earlier_release_counts_as_unconfined(
    driver: EmbeddedDriver, identity: ProcessIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ControlClient.call

    def without(self: ControlClient, method: str, **arguments: Any) -> Any:
        answer = call(self, method, **arguments)
        return {key: value for key, value in answer.items() if key != "confinement"}

    monkeypatch.setattr(ControlClient, "call", without)
    assert driver.observe(["vc-1"])["vc-1"].confinement is Level.NONE


def test_its_memory_is_limited_as_the_driver_is_told(spec: ClusterSpec, tmp_path: Path) -> None:
    limited = EmbeddedDriver(tmp_path, KEY, 120, memory_bytes=2**30)
    list(limited.create(spec, allowed))
    try:
        pid = living(ClusterDirectory(tmp_path, "vc-1")).pid
        assert psutil.Process(pid).rlimit(psutil.RLIMIT_DATA)[0] == 2**30 + UNTOUCHED_BYTES
    finally:
        stop_all(tmp_path, 20)
