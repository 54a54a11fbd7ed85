"""Functions of the memory driver for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.drivers.base import ClusterSpec, DriverError, Presence
from clusters.drivers.memory import MemoryDriver

SPEC = ClusterSpec(cluster_id="vc-1", version="2.1.0", compute_units=2, token="token")


def allowed() -> None:
    """The guard of a caller that keeps its right."""


def test_a_planned_failure_comes_once() -> None:
    driver = MemoryDriver()
    driver.fail_next("create")
    with pytest.raises(DriverError, match="memory driver at create"):
        list(driver.create(SPEC, allowed))
    assert list(driver.create(SPEC, allowed))[-1].percent == 100


def test_a_planned_failure_may_be_any() -> None:
    driver = MemoryDriver()
    driver.fail_next("delete", DriverError("no such luck", permanent=True))
    with pytest.raises(DriverError, match="no such luck"):
        list(driver.delete("vc-1", allowed))


def test_load_is_what_was_set() -> None:
    driver = MemoryDriver()
    list(driver.create(SPEC, allowed))
    driver.set_load("vc-1", cpu_seconds=12.5)
    load = driver.load("vc-1")
    assert load is not None
    assert (load.cpu_seconds, load.cores) == (12.5, 2)


def test_drivers_on_one_directory_see_the_same_clusters(tmp_path: Path) -> None:
    list(MemoryDriver(tmp_path).create(SPEC, allowed))
    MemoryDriver(tmp_path).crash("vc-1")
    assert MemoryDriver(tmp_path).observe(["vc-1"])["vc-1"].presence is Presence.CRASHED


def test_its_files_hold_no_token(tmp_path: Path) -> None:
    list(MemoryDriver(tmp_path).create(SPEC, allowed))
    assert '"token"' not in (tmp_path / "clusters.json").read_text()


def test_ports_differ() -> None:
    driver = MemoryDriver()
    for name in ("vc-1", "vc-2"):
        spec = ClusterSpec(cluster_id=name, version="2.1.0", compute_units=1, token="t")
        list(driver.create(spec, allowed))
    found = driver.observe(["vc-1", "vc-2"]).values()
    assert len({each.endpoint.port for each in found if each.endpoint}) == 2
