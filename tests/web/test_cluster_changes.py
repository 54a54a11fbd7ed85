from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters import services
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]


@pytest.mark.parametrize(
    ("name", "form", "kind"),
    [
        ("scale", {"compute_units": "3", "replicas": "1"}, "SCALING"),
        ("upgrade", {"version": "2.0.0"}, "VERSION_UPGRADE"),
        ("restart", {}, "RESTART"),
        ("stop", {}, "STOP"),
        ("delete", {"typed_name": "vectors"}, "DELETION"),
    ],
)
def test_each_change_is_a_task_that_the_record_names(
    make_cluster: MakeCluster, alices: Browser, name: str, form: dict[str, str], kind: str
) -> None:
    cluster = make_cluster()
    answer = alices.send(f"cluster-{name}", cluster.pk, **form)
    task = Task.objects.first()
    assert answer.url == f"/o/acme/clusters/{cluster.pk}"
    assert (task.kind, task.requested_by) == (kind, "alice@example.com")
    entry = AuditEntry.objects.get()
    assert (entry.object_id, entry.detail) == (cluster.pk, task.task_id)


def test_a_stopped_cluster_starts(make_cluster: MakeCluster, alices: Browser, work: Work) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    work()
    alices.send("cluster-start", cluster.pk)
    assert Task.objects.first().kind == "START"


def test_a_refusal_is_shown_on_the_page_that_asked(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster()
    answer = alices.send("cluster-start", cluster.pk)
    assert answer.status_code == 400
    assert b"is already running" in answer.content


def test_a_task_in_the_way_is_named(make_cluster: MakeCluster, alices: Browser) -> None:
    cluster = make_cluster()
    services.delete_cluster(cluster, by="alice")
    answer = alices.send("cluster-stop", cluster.pk)
    assert answer.status_code == 409
    assert "The task “deletion” blocks" in answer.content.decode()


def test_scaling_to_what_there_is_says_so(make_cluster: MakeCluster, alices: Browser) -> None:
    cluster = make_cluster()
    answer = alices.send("cluster-scale", cluster.pk, compute_units="1", replicas="1")
    assert b"vectors has these resources already" in answer.content
    assert AuditEntry.objects.get().detail.startswith(f"FAILED_PRECONDITION: {cluster.pk} has")


def test_a_scaling_is_told_in_the_words_of_its_form(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster()
    alices.send("cluster-scale", cluster.pk, compute_units="2", replicas="1")
    content = alices.open("cluster-detail", cluster.pk).content.decode()
    assert ">Compute units: 2<" in content
    assert ">Autoscaling: no<" in content
    assert "Enable" not in content


def test_the_upper_bound_is_empty_where_it_does_not_count(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster(resources={"compute_units": 3})
    form = alices.open("cluster-scale", cluster.pk).context["form"]
    assert (form["compute_units"].value(), form["max_compute_units"].value()) == (3, None)


def test_only_other_versions_are_offered(make_cluster: MakeCluster, alices: Browser) -> None:
    cluster = make_cluster()
    form = alices.open("cluster-upgrade", cluster.pk).context["form"]
    assert form.fields["version"].choices == [("2.0.0", "2.0.0")]


def test_editing_changes_name_labels_and_protection(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster(labels={"a": "1"})
    assert b"a=1" in alices.open("cluster-edit", cluster.pk).content
    given = {"name": "renamed", "labels": "b=2", "deletion_protection": "on"}
    alices.send("cluster-edit", cluster.pk, **given)
    cluster.refresh_from_db()
    assert (cluster.name, cluster.labels) == ("renamed", {"b": "2"})
    assert cluster.deletion_protection


def test_rotating_makes_a_new_token_and_shows_none(
    make_cluster: MakeCluster, alices: Browser, driver: MemoryDriver
) -> None:
    cluster = make_cluster()
    old = cluster.token
    answer = alices.send("cluster-token-rotate", cluster.pk)
    cluster.refresh_from_db()
    assert driver.accepts(cluster.pk, cluster.token)
    assert not driver.accepts(cluster.pk, old)
    assert cluster.token not in alices.client.get(answer.url).content.decode()


def test_a_rotation_that_fails_changes_nothing_and_is_on_record(
    make_cluster: MakeCluster, alices: Browser, driver: MemoryDriver
) -> None:
    cluster = make_cluster()
    driver.fail_next("rotate")
    assert alices.send("cluster-token-rotate", cluster.pk).status_code == 503
    assert driver.accepts(cluster.pk, Cluster.objects.get().token)
    assert AuditEntry.objects.get().detail.startswith("UNAVAILABLE")


def test_deleting_wants_the_name(make_cluster: MakeCluster, alices: Browser) -> None:
    cluster = make_cluster()
    answer = alices.send("cluster-delete", cluster.pk, typed_name="vector")
    assert answer.status_code == 422
    assert b"Type the name" in answer.content
    assert Task.objects.count() == 1


def test_deleting_says_what_goes_and_what_stays(make_cluster: MakeCluster, alices: Browser) -> None:
    cluster = make_cluster()
    task = services.restart_cluster(cluster, by="alice")
    content = alices.open("cluster-delete", cluster.pk).content.decode()
    assert f"http://memory.invalid:{cluster.port}" in content
    assert task.task_id in content
    assert "Deleted data cannot be recovered" in content


def test_a_protected_cluster_says_how_to_lift_the_protection(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    cluster = make_cluster(deletion_protection=True)
    assert b"Switch deletion protection off" in alices.open("cluster-delete", cluster.pk).content
    assert alices.send("cluster-delete", cluster.pk, typed_name="vectors").status_code == 400


@pytest.mark.parametrize(
    "name", ["scale", "upgrade", "restart", "stop", "start", "edit", "token-rotate", "delete"]
)
def test_every_change_has_a_page_of_its_own(
    make_cluster: MakeCluster, alices: Browser, name: str
) -> None:
    answer = alices.open(f"cluster-{name}", make_cluster().pk)
    assert answer.status_code == 200
    assert b'<form method="post"' in answer.content


def test_an_unforeseen_error_is_on_record_and_rolled_back(
    make_cluster: MakeCluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster()
    monkeypatch.setattr("clusters.services.stop_cluster", broken)
    alices.client.raise_request_exception = False
    answer = alices.send("cluster-stop", cluster.pk)
    assert answer.status_code == 500
    assert b"Internal error" in answer.content
    assert AuditEntry.objects.get().outcome == "FAILED"


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("unforeseen")
