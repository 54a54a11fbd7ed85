from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters import protection
from clusters.models import Cluster
from tests.api.client import Api

MakeCluster = Callable[..., Cluster]


class Recorder:
    """A guardian that remembers what it was told."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def protection_of(self, cluster_ids: object) -> dict[str, protection.Protection]:
        return {}

    def before_delete(self, cluster: Cluster, *, by: str, delete_backups: bool) -> str:
        self.asked.append(delete_backups)
        return "3 backups are kept."


@pytest.fixture
def guardian(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(protection, "_registered", [recorder])
    return recorder


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster()


def test_it_needs_no_body(api: Api, cluster: Cluster, work: Callable[[], int]) -> None:
    said = api.delete(f"/clusters/{cluster.cluster_id}")
    assert said["success"] is True
    work()
    cluster.refresh_from_db()
    assert cluster.status == "DELETED"


def test_backups_are_kept_unless_asked_otherwise(
    api: Api, cluster: Cluster, guardian: Recorder
) -> None:
    said = api.delete(f"/clusters/{cluster.cluster_id}")
    assert guardian.asked == [False]
    assert said["message"].endswith("3 backups are kept.")


@pytest.mark.parametrize("spelling", ["deleteBackups", "delete_backups"])
def test_backups_go_where_that_is_asked_for(
    api: Api, cluster: Cluster, guardian: Recorder, spelling: str
) -> None:
    api.delete(f"/clusters/{cluster.cluster_id}", **{spelling: "true"})
    assert guardian.asked == [True]


@pytest.mark.parametrize("value", ["yes", "1", "", "True"])
def test_it_guesses_nothing_about_backups(api: Api, cluster: Cluster, value: str) -> None:
    said = api.delete(f"/clusters/{cluster.cluster_id}", deleteBackups=value)
    assert list(said.field_errors) == ["deleteBackups"]


def test_it_cannot_be_asked_twice(api: Api, cluster: Cluster) -> None:
    first = api.delete(f"/clusters/{cluster.cluster_id}").header("Operation-Id")
    said = api.delete(f"/clusters/{cluster.cluster_id}")
    assert said.code == "ABORTED"
    assert str(first) in said["response"]["message"]


def test_what_is_deleted_can_be_read_and_not_changed(
    api: Api, cluster: Cluster, work: Callable[[], int]
) -> None:
    api.delete(f"/clusters/{cluster.cluster_id}")
    work()
    assert api.get(f"/{cluster.service_id}")["service"]["serviceStatus"] == "DELETED"
    for path in ("restart", "stop", "start"):
        assert api.post(f"/clusters/{cluster.cluster_id}/{path}").code == "FAILED_PRECONDITION"
    assert api.get(f"/{cluster.service_id}/access").code == "FAILED_PRECONDITION"


def test_a_key_that_may_not_delete_backups_keeps_them(
    cluster: Cluster, guardian: Recorder, key_with: Callable[..., Api]
) -> None:
    said = key_with("DeleteCluster").delete(f"/clusters/{cluster.cluster_id}", deleteBackups="true")
    assert said.code == "PERMISSION_DENIED"
    assert guardian.asked == []
