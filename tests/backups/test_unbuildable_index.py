"""An index that the server cannot build keeps no rows from coming back."""

from __future__ import annotations

from collections.abc import Callable

from pymilvus import MilvusClient

from backups.models import Backup
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.models import Cluster
from tests.backups.conftest import fill
from vbase_console.tasks.models import Task

Work = Callable[[], int]


def test_it_comes_back_without_it_and_that_is_said(
    cluster: Cluster, milvus: MilvusClient, work: Work
) -> None:
    """Asked for while there were no rows, and with rows that no clusters can be computed from."""
    fill(milvus, rows=0)
    milvus.release_collection("images")
    milvus.drop_index("images", "vector")
    index = milvus.prepare_index_params()
    index.add_index("vector", index_type="IVF_FLAT", metric_type="L2", params={"nlist": 2})
    milvus.create_index("images", index)
    rows = [{"id": n, "vector": [float("nan")] * 8, "title": ""} for n in range(20)]
    milvus.insert("images", rows)
    job = plan_backup(cluster, collection_names=["images"]).submit(by="alice")
    work()
    milvus.drop_collection("images")
    backup = Backup.objects.get(pk=job.backup_id)
    task = plan_restore(backup, cluster).submit(by="alice").task
    work()
    task = Task.objects.get(pk=task.pk)
    assert task.state == "SUCCEEDED", task.message
    assert "restored without the index of 'vector', which could not be built" in " ".join(
        task.warnings
    )
    assert milvus.query("images", output_fields=["count(*)"])[0]["count(*)"] == 20
