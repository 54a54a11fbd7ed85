from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from clusters import protection, services
from clusters.drivers.base import DriverError
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.protection import Protection
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry, OrganizationVersion
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]
POLLS = ' data-busy=""'


def poll(browser: Browser, content: str) -> str:
    """The parts that the page is sent next, with the marks that it has."""
    marks = re.findall(r'\sid="([\w-]+)" data-live="([\w.]+)"', content)
    version = content.split('data-version="')[1].split('"')[0]
    headers = {
        "Live-Parts": ",".join(f"{name}={mark}" for name, mark in marks),
        "If-None-Match": f'"{version}"',
    }
    cluster = Cluster.objects.get()
    answer = browser.client.get(browser.address("cluster-detail", cluster.pk), headers=headers)
    return "".join(answer.json()["parts"].values())


def test_it_polls_while_a_task_is_under_way_and_stops_by_itself(
    make_cluster: MakeCluster, alices: Browser, work: Work
) -> None:
    cluster = make_cluster(running=False)
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    assert POLLS in content
    work()
    assert 'id="cluster-progress"' in poll(alices, content)
    assert POLLS not in poll(alices, content)


def test_progress_is_what_the_row_says(make_cluster: MakeCluster, alices: Browser) -> None:
    cluster = make_cluster(running=False)
    Task.objects.update(progress=37, phase="starting", message="Waiting for its first answer.")
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    assert '<progress max="100" value="37"' in content
    assert "Waiting for its first answer." in content


def test_a_poll_brings_only_what_has_changed(make_cluster: MakeCluster, alices: Browser) -> None:
    cluster = make_cluster(running=False)
    OrganizationVersion.objects.update(changed_at=timezone.now() - timedelta(seconds=10))
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    Task.objects.update(progress=50)
    (sent,) = re.findall(r'\sid="([\w-]+)" data-live', poll(alices, content))
    assert sent == f"progress-{Task.objects.get().task_id}-bar"


def test_status_actions_and_access_ride_along_when_a_task_ends(
    make_cluster: MakeCluster, alices: Browser, work: Work
) -> None:
    cluster = make_cluster(running=False)
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    work()
    answer = poll(alices, content)
    for part in ("cluster-header", "cluster-access", "cluster-facts", "cluster-recent"):
        assert f'id="{part}"' in answer
    assert "memory.invalid" in answer


def test_a_viewers_poll_brings_no_access(
    make_cluster: MakeCluster, bobs: Browser, work: Work
) -> None:
    cluster = make_cluster(running=False)
    content = bobs.open("cluster-detail", cluster.pk).content.decode()
    work()
    assert "memory.invalid" not in poll(bobs, content)


def test_a_viewer_reads_whom_to_ask_for_the_access(
    make_cluster: MakeCluster, bobs: Browser
) -> None:
    content = bobs.open("cluster-detail", make_cluster().pk).content
    assert b"Ask an owner of acme" in content
    assert b"memory.invalid" not in content


def test_the_reason_of_a_failure_is_said_once(
    make_cluster: MakeCluster, alices: Browser, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    driver.fail_next("stop", DriverError("The disk is full.", permanent=True))
    services.stop_cluster(cluster, by="alice")
    work()
    content = alices.open("cluster-detail", cluster.pk).content
    assert content.count(b"The disk is full.") == 1


def test_without_a_script_the_page_loads_itself_again_while_something_runs(
    make_cluster: MakeCluster, alices: Browser, work: Work
) -> None:
    cluster = make_cluster(running=False)
    refresh = b'<noscript><meta http-equiv="refresh"'
    busy = alices.open("cluster-detail", cluster.pk).content
    assert (refresh in busy, b"This page reloads every 10 seconds" in busy) == (True, True)
    work()
    still = alices.open("cluster-detail", cluster.pk).content
    assert (refresh in still, b"Reload this page to see changes." in still) == (False, True)


@pytest.mark.parametrize("htmx", [True, False])
def test_the_token_is_on_the_page_only_when_asked_for(
    make_cluster: MakeCluster, alices: Browser, htmx: bool
) -> None:
    cluster = make_cluster()
    assert cluster.token not in alices.open("cluster-detail", cluster.pk).content.decode()
    shown = alices.send("cluster-token", cluster.pk, htmx=htmx)
    assert cluster.token in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]
    assert AuditEntry.objects.get().action == "GetServiceAccess"


def test_a_reload_of_the_page_with_the_token_hides_it(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster()
    assert alices.open("cluster-token", cluster.pk).status_code == 302


def test_there_is_no_token_before_there_is_an_endpoint(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster(running=False)
    answer = alices.send("cluster-token", cluster.pk)
    assert answer.status_code == 400
    assert b"Wait until its status is running" in answer.content


def test_the_snippet_is_complete_and_right_for_this_cluster(
    make_cluster: MakeCluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster()
    answer = alices.send("cluster-token", cluster.pk, htmx=True).content.decode()
    given = run_snippet(answer, monkeypatch)
    assert given == {"uri": f"http://memory.invalid:{cluster.port}", "token": cluster.token}


def test_the_snippet_without_the_token_reads_it_from_the_environment(
    make_cluster: MakeCluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = alices.open("cluster-detail", make_cluster().pk).content.decode()
    monkeypatch.setenv("MILVUS_TOKEN", "from the environment")
    assert run_snippet(page, monkeypatch)["token"] == "from the environment"


@pytest.mark.parametrize("key", ["snippet", "snippet-async", "snippet-langchain"])
@pytest.mark.parametrize("shown", [True, False])
def test_every_python_example_compiles(
    make_cluster: MakeCluster, alices: Browser, key: str, shown: bool
) -> None:
    cluster = make_cluster()
    opened = alices.send if shown else alices.open
    name = "cluster-token" if shown else "cluster-detail"
    code = code_of(opened(name, cluster.pk).content.decode(), key)
    compile(code, key, "exec")
    assert f'"http://memory.invalid:{cluster.port}"' in code
    assert (cluster.token in code) == shown


def test_the_async_example_calls_what_exists() -> None:
    from pymilvus import AsyncMilvusClient

    assert hasattr(AsyncMilvusClient, "list_collections")
    assert hasattr(AsyncMilvusClient, "close")


def test_the_curl_example_is_answered(
    make_cluster: MakeCluster, alices: Browser, api_key: str, client: Client
) -> None:
    page = alices.open("cluster-detail", make_cluster().pk).content.decode()
    address = code_of(page, "snippet-curl").split()[-1]
    answer = client.get(address, headers={"Authorization": f"Bearer {api_key}"})
    assert answer.json()["endpoint"] == "memory.invalid"


def test_the_card_hides_while_the_cluster_is_stopped(
    make_cluster: MakeCluster, alices: Browser, work: Work
) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    work()
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    assert "accepts no connections" in content
    assert "memory.invalid" not in content
    assert 'id="show-token"' not in content


def test_the_log_is_shown_on_request_and_audited(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster()
    content = alices.send("cluster-log", cluster.pk).content.decode()
    assert "In memory: RUNNING." in content
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id, entry.outcome) == (
        *("GetClusterLog", cluster.pk),
        "ACCEPTED",
    )
    assert alices.open("cluster-log", cluster.pk).status_code == 302


def test_the_log_does_not_contain_the_token(
    make_cluster: MakeCluster, alices: Browser, driver: MemoryDriver, monkeypatch: Any
) -> None:
    cluster = make_cluster()
    monkeypatch.setattr(driver, "log_end", lambda *_: f"refused {cluster.token} <b>")
    content = alices.send("cluster-log", cluster.pk).content.decode()
    assert "refused [token] &lt;b&gt;" in content


def test_a_driver_without_a_log_refuses_with_its_reason(
    make_cluster: MakeCluster, alices: Browser, driver: MemoryDriver, monkeypatch: Any
) -> None:
    def refuse(*_: object) -> str:
        raise DriverError("The log is kept where the server runs.", permanent=True)

    cluster = make_cluster()
    monkeypatch.setattr(driver, "log_end", refuse)
    answer = alices.send("cluster-log", cluster.pk)
    assert answer.status_code == 400
    assert b"The log is kept where the server runs." in answer.content
    assert AuditEntry.objects.get().outcome == "REFUSED"


def test_a_viewer_reads_no_log(make_cluster: MakeCluster, bobs: Browser) -> None:
    cluster = make_cluster()
    assert bobs.send("cluster-log", cluster.pk).status_code == 403
    assert b'id="show-log"' not in bobs.open("cluster-detail", cluster.pk).content


def run_snippet(page: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run what a person would copy, and answer what the client was made with."""
    import pymilvus

    given: dict[str, Any] = {}

    class Client:
        def __init__(self, **arguments: Any) -> None:
            given.update(arguments)

        def list_collections(self) -> list[str]:
            return []

    monkeypatch.setattr(pymilvus, "MilvusClient", Client)
    exec(code_of(page, "snippet"), {})  # noqa: S102
    return given


def code_of(page: str, key: str) -> str:
    code = page.split(f'<pre id="{key}"')[1].split("<code>")[1].split("</code>")[0]
    return html.unescape(code)


def test_a_deleted_cluster_is_history_without_controls(
    make_cluster: MakeCluster, alices: Browser, work: Work
) -> None:
    cluster = make_cluster()
    services.delete_cluster(cluster, by="alice")
    work()
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    assert 'id="do-' not in content
    assert 'id="show-token"' not in content
    assert "no connection details" in content


@pytest.mark.parametrize(
    ("stopped", "offered", "missing"),
    [(False, {"restart", "stop"}, {"start"}), (True, {"start"}, {"restart", "stop"})],
)
def test_it_offers_what_is_not_certain_to_be_refused(
    make_cluster: MakeCluster,
    alices: Browser,
    work: Work,
    stopped: bool,
    offered: set[str],
    missing: set[str],
) -> None:
    cluster = make_cluster()
    if stopped:
        services.stop_cluster(cluster, by="alice")
        work()
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    assert all(f'id="do-{name}"' in content for name in offered)
    assert not any(f'id="do-{name}"' in content for name in missing)


def test_it_says_nothing_of_backups_where_nobody_keeps_any(
    make_cluster: MakeCluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster()
    monkeypatch.setattr(protection, "_registered", [])
    assert b"cluster-backups" not in alices.open("cluster-detail", cluster.pk).content


def test_it_says_who_is_backed_up_and_who_is_not(
    make_cluster: MakeCluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, bare = make_cluster("kept"), make_cluster("bare")
    monkeypatch.setattr(protection, "_registered", [Guardian(kept)])
    assert b"latest " in alices.open("cluster-detail", kept.pk).content
    assert b"none yet" in alices.open("cluster-detail", bare.pk).content
    assert b"cannot be recovered" in alices.open("cluster-delete", bare.pk).content
    assert b"the backups, the latest from" in alices.open("cluster-delete", kept.pk).content


class Guardian:
    """Looks after one cluster only."""

    def __init__(self, kept: Cluster) -> None:
        self.kept = kept

    def protection_of(self, cluster_ids: Any) -> dict[str, Protection]:
        kept = Protection(last_backup_at=self.kept.created_at)
        return {self.kept.pk: kept} if self.kept.pk in cluster_ids else {}

    def before_delete(self, cluster: Cluster, **_: object) -> str:
        return "Its backups are kept."


def test_an_ipv6_endpoint_is_written_as_an_address(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster()
    Cluster.objects.update(host="::1")
    expected = f"http://[::1]:{cluster.port}".encode()
    assert expected in alices.open("cluster-detail", cluster.pk).content
