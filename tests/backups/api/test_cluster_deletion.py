"""What becomes of a cluster's backups when it is deleted, and that its answer says so."""

from __future__ import annotations

import pytest

from backups.models import Backup
from backups.states import JobKind
from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import seed_backup, seed_job
from vbase_console.tasks.states import TaskState


@pytest.fixture
def three(backup: Backup, cluster: Cluster) -> None:
    """Beside the nightly one a pinned one, and one that is being restored."""
    seed_backup(cluster, "pinned", pinned=True)
    seed_job(seed_backup(cluster, "in-use"), JobKind.RESTORE, TaskState.RUNNING)


def deleted(api: Api, cluster: Cluster, **query: str) -> str:
    return str(api.delete(f"/clusters/{cluster.cluster_id}", **query)["message"])


@pytest.mark.usefixtures("three")
def test_it_keeps_them_and_names_them(api: Api, cluster: Cluster) -> None:
    said = deleted(api, cluster)
    assert "It keeps 3: " in said
    assert all(name in said for name in ("nightly", "pinned", "in-use"))
    assert set(Backup.objects.values_list("status", flat=True)) == {"AVAILABLE"}


@pytest.mark.usefixtures("three")
def test_on_request_they_go_and_it_names_those_that_stay(api: Api, cluster: Cluster) -> None:
    said = deleted(api, cluster, deleteBackups="true")
    assert "1 of its backups go with it." in said
    assert "It keeps 2: " in said
    assert "nightly" not in said
    assert Backup.objects.get(name="nightly").status == "DELETING"


def test_what_it_has_not_it_does_not_mention(api: Api, cluster: Cluster) -> None:
    assert "backup" not in deleted(api, cluster)


def test_its_protection_is_shown_until_then(api: Api, cluster: Cluster, backup: Backup) -> None:
    path = f"/{cluster.organization_id}/clusters/{cluster.cluster_id}"
    shown = api.get(path)["configuration"]["backup"]
    assert shown["lastBackupAt"] is not None
    assert (shown["lastProvenAt"], shown["policyCount"]) == (None, 0)
