"""The attached driver, where its contract differs from that of drivers that operate clusters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import pytest

from clusters.drivers import load_driver
from clusters.drivers.attached import AttachedDriver
from clusters.drivers.base import (
    ClusterDriver,
    ClusterSpec,
    Connection,
    DriverError,
    Presence,
    Resolve,
    SpecRefused,
    Tls,
)
from tests.clusters.attached.servers import FakeMilvus
from tests.drivers.launched import TOKEN
from tests.ports import free_port

CLUSTER = "vc-attached"


@dataclasses.dataclass
class Stored:
    """Implements `clusters.drivers.base.Attachments`, with the rows of this test."""

    rows: dict[str, Connection | DriverError] = dataclasses.field(default_factory=dict)
    refused: str = ""

    def connections(self, cluster_ids: Sequence[str]) -> Mapping[str, Connection | DriverError]:
        return {key: self.rows[key] for key in cluster_ids if key in self.rows}

    def resolver(self) -> Resolve:
        def resolve(host: str, port: int) -> list[str]:
            if self.refused:
                raise DriverError(self.refused)
            return ["127.0.0.1"]

        return resolve


@pytest.fixture
def stored() -> Stored:
    return Stored()


@pytest.fixture
def driver(stored: Stored) -> ClusterDriver:
    return AttachedDriver(stored)


@pytest.fixture
def server(stored: Stored) -> Iterator[FakeMilvus]:
    with FakeMilvus(token=TOKEN) as server:
        stored.rows[CLUSTER] = Connection(host="milvus.example", port=server.port, token=TOKEN)
        yield server


SPEC = ClusterSpec(cluster_id=CLUSTER, version="", compute_units=1, token=TOKEN)


def allowed() -> None:
    """The guard of a caller that keeps its lease."""


def forbidden() -> None:
    raise PermissionError


def test_it_is_loaded_with_the_stored_connections(stored: Stored, tmp_path: object) -> None:
    driver = load_driver("attached", data_dir=tmp_path, control_key=b"", attachments=stored)  # type: ignore[arg-type]
    assert driver.capabilities.is_operated_elsewhere
    assert driver.cluster_ids() == []


def test_without_stored_connections_there_is_no_such_driver(tmp_path: object) -> None:
    with pytest.raises(ValueError, match="embedded, memory"):
        load_driver("attached", data_dir=tmp_path, control_key=b"k" * 32)  # type: ignore[arg-type]


def test_create_checks_the_server_in_three_phases(
    driver: ClusterDriver, server: FakeMilvus
) -> None:
    steps = list(driver.create(SPEC, allowed))
    assert [step.phase for step in steps] == ["resolving", "connecting", "checking", "checking"]
    assert [step.percent for step in steps] == [10, 40, 70, 100]


def test_a_failed_check_is_permanent(driver: ClusterDriver, stored: Stored) -> None:
    stored.rows[CLUSTER] = Connection(host="milvus.example", port=free_port())
    with pytest.raises(DriverError) as failed:
        list(driver.create(SPEC, allowed))
    assert failed.value.permanent


def test_a_cluster_without_a_connection_is_refused(driver: ClusterDriver) -> None:
    with pytest.raises(SpecRefused, match="Attach the server again"):
        driver.validate(SPEC)


@pytest.mark.parametrize("method", ["start", "restart", "scale", "upgrade", "rotate"])
def test_what_only_the_operator_can_do_is_refused(driver: ClusterDriver, method: str) -> None:
    with pytest.raises(DriverError, match="operated elsewhere") as refused:
        getattr(driver, method)(SPEC, allowed)
    assert refused.value.permanent


def test_stopping_is_refused(driver: ClusterDriver) -> None:
    with pytest.raises(DriverError, match="operated elsewhere"):
        driver.stop(CLUSTER, allowed)


def test_delete_calls_no_server(driver: ClusterDriver, server: FakeMilvus) -> None:
    assert [step.percent for step in driver.delete(CLUSTER, allowed)] == [100]
    assert server.received == []


def test_delete_requires_the_lease(driver: ClusterDriver, server: FakeMilvus) -> None:
    with pytest.raises(PermissionError):
        list(driver.delete(CLUSTER, forbidden))


def test_nothing_is_observed_without_ids(driver: ClusterDriver) -> None:
    assert driver.observe([]) == {}


def test_an_unknown_cluster_is_missing(driver: ClusterDriver) -> None:
    assert driver.observe(["vc-nothing"])["vc-nothing"].presence is Presence.MISSING


def test_a_running_server_is_observed_with_its_version_and_no_address(
    driver: ClusterDriver, server: FakeMilvus
) -> None:
    observation = driver.observe([CLUSTER])[CLUSTER]
    assert (observation.presence, observation.version) == (Presence.RUNNING, "v2.5.4")
    assert observation.endpoint is None


@pytest.mark.parametrize("problem", ["address", "row"])
def test_one_cluster_with_a_problem_hides_no_other(
    driver: ClusterDriver, stored: Stored, server: FakeMilvus, problem: str
) -> None:
    if problem == "row":
        stored.rows["vc-other"] = DriverError("The token cannot be read.")
    else:
        stored.rows["vc-other"] = Connection(host="milvus.example", port=free_port())
    observed = driver.observe(["vc-other", CLUSTER])
    assert observed["vc-other"].presence is Presence.UNREACHABLE
    assert observed[CLUSTER].presence is Presence.RUNNING


def test_access_leads_to_the_checked_address_and_names_the_given_one(
    driver: ClusterDriver, server: FakeMilvus
) -> None:
    access = driver.console_access(CLUSTER)
    assert access is not None
    assert (access.endpoint.host, access.given_as) == ("127.0.0.1", f"milvus.example:{server.port}")
    assert (access.credential, access.control, access.snapshots) == (TOKEN, None, None)
    assert TOKEN not in repr(access)


def test_access_verifies_the_name_that_was_given(
    driver: ClusterDriver, stored: Stored, server: FakeMilvus
) -> None:
    given = Connection(host="milvus.example.", port=server.port, tls=True, ca_certificate="pem")
    stored.rows[CLUSTER] = given
    access = driver.console_access(CLUSTER)
    assert access is not None
    assert access.tls == Tls(server_name="milvus.example", ca_certificate="pem")


def test_access_to_a_refused_address_connects_to_nothing(
    driver: ClusterDriver, stored: Stored, server: FakeMilvus
) -> None:
    stored.refused = "The address is refused."
    with pytest.raises(DriverError, match="refused"):
        driver.console_access(CLUSTER)
    assert server.received == []


def test_there_is_no_access_without_a_connection(driver: ClusterDriver) -> None:
    assert driver.console_access("vc-nothing") is None


def test_a_connection_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Connection(host="milvus.example", port=1, token=TOKEN))


def test_load_and_free_space_are_unknown(driver: ClusterDriver) -> None:
    assert (driver.load(CLUSTER), driver.free_bytes(CLUSTER)) == (None, None)
