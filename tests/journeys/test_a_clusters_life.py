"""From creation to deletion as a tenant's program sees it: HTTP, and the ordinary SDK."""

from __future__ import annotations

import psutil

from tests.live import Api, Console, wait_for
from tests.vectors import is_refused, nearest, rows_of, store, wait_until_searched


def test_a_cluster_lives_from_creation_to_deletion(api: Api, console: Console) -> None:
    cluster = api.create("life", labels={"team": "search"})
    assert cluster["serviceStatus"] == "CREATING"
    api.wait_for_status(cluster, "RUNNING")
    _opens_to_its_token_alone(api, cluster)
    store(api.access(cluster), range(50))
    _keeps_its_rows_through_every_change(api, cluster)
    _is_gone_after_deletion(api, cluster, console)


def _opens_to_its_token_alone(api: Api, cluster: dict[str, str]) -> None:
    access = api.access(cluster)
    assert [token for token in ("wrong", "", "root:Milvus") if not is_refused(access, token)] == []


def _keeps_its_rows_through_every_change(api: Api, cluster: dict[str, str]) -> None:
    path = f"/clusters/{cluster['clusterId']}"
    for change, body in {"scale": {"resourceConfig": {"computeUnits": 2}}, "restart": {}}.items():
        api.post(f"{path}/{change}", **body)
        api.wait_for_status(cluster, "RUNNING")
        assert nearest(api.access(cluster), 7) == 7
    before = api.access(cluster)
    after = api.post(f"/{cluster['serviceId']}/access/rotate")
    assert is_refused(after, before["token"])
    assert rows_of(after) == set(range(50))
    api.post(f"{path}/stop")
    api.wait_for_status(cluster, "STOPPED")
    api.post(f"{path}/start")
    api.wait_for_status(cluster, "RUNNING")
    wait_until_searched(after, 7)


def _is_gone_after_deletion(api: Api, cluster: dict[str, str], console: Console) -> None:
    port = api.access(cluster)["port"]
    api.delete(f"/clusters/{cluster['clusterId']}")
    api.wait_for_status(cluster, "DELETED")
    assert not (console.data_dir / "clusters" / cluster["clusterId"]).exists()
    assert console.processes_like(cluster["clusterId"]) == []
    listening = [each for each in psutil.net_connections() if each.status == psutil.CONN_LISTEN]
    assert port not in {each.laddr.port for each in listening}
    assert api.create("life")["serviceStatus"] == "CREATING"


def test_its_history_tells_what_was_done(api: Api) -> None:
    cluster = api.created("history")
    (task,) = api.tasks(cluster)
    phases = [event["phase"] for event in api.events(cluster, task["taskId"]) if event["phase"]]
    assert (task["taskType"], task["status"], task["progress"]) == ("DEPLOYMENT", "SUCCEEDED", 100)
    assert len(set(phases)) > 1


def test_a_killed_milvus_comes_back_with_its_rows(api: Api, console: Console) -> None:
    cluster = api.created("killed")
    store(api.access(cluster), range(100))
    (process,) = console.processes_like("launcher", cluster["clusterId"])
    process.kill()
    wait_until_searched(api.access(cluster), 42, timeout_seconds=30)
    assert rows_of(api.access(cluster)) == set(range(100))
    restart = wait_for(lambda: [t for t in api.tasks(cluster) if t["taskType"] == "RESTART"])[0]
    api.wait_for_status(cluster, "RUNNING")
    said = " ".join(event["message"] for event in api.events(cluster, restart["taskId"]))
    assert "process crashed" in said
