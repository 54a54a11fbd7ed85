from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from clusters import services
from clusters.models import Cluster
from tests.api.client import Api, Said
from vbase_console.api import idempotency
from vbase_console.api.models import IdempotentAnswer
from vbase_console.api.sweeps import sweep_answers
from vbase_console.celery import app
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import DELETE_BACKUP, DELETE_CLUSTER
from vbase_console.tasks.models import Task

pytestmark = pytest.mark.django_db
T = TypeVar("T")
MakeCluster = Callable[..., Cluster]


def create(api: Api, key: str = "k1", **body: Any) -> Said:
    return api.send("POST", "/clusters", body={"name": "a"} | body, Idempotency_Key=key)


def test_the_same_request_gets_the_same_answer(api: Api) -> None:
    first, second = create(api), create(api)
    assert second.body == first.body
    assert second.header("Operation-Id") == first.header("Operation-Id")
    assert second.header("Location") == first.header("Location")
    assert Cluster.objects.count() == Task.objects.count() == 1


def test_only_the_repetition_says_that_it_is_one(api: Api) -> None:
    assert create(api).header("Idempotency-Replayed") is None
    assert create(api).header("Idempotency-Replayed") == "true"


def test_a_repetition_changes_nothing_and_leaves_no_second_row_of_history(api: Api) -> None:
    create(api)
    create(api)
    assert AuditEntry.objects.count() == 1


def test_a_body_is_compared_after_parsing(api: Api) -> None:
    first = api.raw("/clusters", '{"name":"a","labels":{}}', headers={"Idempotency-Key": "k"})
    second = api.raw("/clusters", '{ "labels": {}, "name": "a" }', headers={"Idempotency-Key": "k"})
    assert first.status == second.status == 200


def test_another_body_under_the_same_key_is_refused(api: Api) -> None:
    create(api)
    said = create(api, name="b")
    assert (said.status, said.code) == (400, "INVALID_ARGUMENT")
    assert Cluster.objects.count() == 1


def test_another_key_is_another_request(api: Api) -> None:
    create(api, "k1")
    assert create(api, "k2").code == "ALREADY_EXISTS"


def test_the_same_key_on_another_address_is_another_request(
    api: Api, make_cluster: MakeCluster
) -> None:
    path = f"/clusters/{make_cluster().cluster_id}"
    said = [api.send("POST", f"{path}/{verb}", Idempotency_Key="k") for verb in ("restart", "stop")]
    assert said[0].header("Operation-Id") != said[1].header("Operation-Id")


def test_the_same_key_with_another_method_is_another_request(
    api: Api, make_cluster: MakeCluster
) -> None:
    path = f"/clusters/{make_cluster().cluster_id}"
    assert api.send("PATCH", path, Idempotency_Key="k").status == 200
    said = api.send("DELETE", path, Idempotency_Key="k")
    assert said.header("Idempotency-Replayed") is None
    assert Task.objects.get(task_id=said.header("Operation-Id")).kind == "DELETION"


def test_the_same_key_of_another_organization_is_another_request(api: Api, stranger: Api) -> None:
    assert create(api).status == create(stranger).status == 200
    assert Cluster.objects.count() == 2


def test_a_refusal_is_repeated_as_well(api: Api) -> None:
    create(api, "k1")
    assert create(api, "k2").code == "ALREADY_EXISTS"
    Cluster.objects.update(name="other")
    assert create(api, "k2").code == "ALREADY_EXISTS"


def test_a_refusal_is_repeated_with_the_pause_that_it_asks_for(
    api: Api, make_cluster: MakeCluster
) -> None:
    path, body = f"/clusters/{make_cluster().cluster_id}", {"resourceConfig": {"computeUnits": 2}}
    api.delete(path)
    said = [api.send("POST", f"{path}/scale", body=body, Idempotency_Key="k") for _ in range(2)]
    assert [each.code for each in said] == ["ABORTED", "ABORTED"]
    assert said[1].header("Idempotency-Replayed") == "true"
    assert said[1].header("Retry-After") == said[0].header("Retry-After") == "5"


def test_an_answer_is_repeated_only_to_keys_with_the_scopes_that_it_took(
    api: Api, key_with: Callable[..., Api], make_cluster: MakeCluster
) -> None:
    path, query = f"/clusters/{make_cluster().cluster_id}", {"deleteBackups": "true"}
    few, enough = key_with(DELETE_CLUSTER), key_with(DELETE_CLUSTER, DELETE_BACKUP)
    first, without, again = (
        each.send("DELETE", path, query=query, Idempotency_Key="k") for each in (api, few, enough)
    )
    assert (without.status, without.code) == (403, "PERMISSION_DENIED")
    assert again.header("Operation-Id") == first.header("Operation-Id")


def test_whoever_lacks_a_scope_does_not_answer_for_those_who_have_it(
    api: Api, key_with: Callable[..., Api], make_cluster: MakeCluster
) -> None:
    path, query = f"/clusters/{make_cluster().cluster_id}", {"deleteBackups": "true"}
    refused, done = (
        each.send("DELETE", path, query=query, Idempotency_Key="k")
        for each in (key_with(DELETE_CLUSTER), api)
    )
    assert (refused.status, done.status) == (403, 200)
    assert done.header("Idempotency-Replayed") is None


def test_an_error_of_ours_is_not_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(services, "create_cluster", raise_(RuntimeError("no")))
        assert create(api).status == 500
    assert not IdempotentAnswer.objects.exists()
    assert create(api).status == 200


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_it_holds_for_every_change(api: Api, make_cluster: MakeCluster, method: str) -> None:
    path = f"/clusters/{make_cluster().cluster_id}"
    said = [api.send(method, path, Idempotency_Key="k") for _ in range(2)]
    assert said[0].body == said[1].body
    assert said[1].header("Idempotency-Replayed") == "true"


def test_what_the_query_says_belongs_to_the_request(api: Api, make_cluster: MakeCluster) -> None:
    path = f"/clusters/{make_cluster().cluster_id}"
    api.send("DELETE", path, Idempotency_Key="k")
    other = api.send("DELETE", path, query={"deleteBackups": "true"}, Idempotency_Key="k")
    assert other.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ü"])
def test_a_key_that_cannot_be_one_is_refused(api: Api, key: str) -> None:
    assert create(api, key).code == "INVALID_ARGUMENT"
    assert not Cluster.objects.exists()


def test_an_address_that_is_longer_than_any_is_answered_like_others(api: Api) -> None:
    """SQLite would keep it whole, PostgreSQL would refuse the row."""
    said = api.send("POST", f"/clusters/{'x' * 600}/restart", Idempotency_Key="k")
    assert said.code == "NOT_FOUND"
    assert len(IdempotentAnswer.objects.get().path) == 500


def test_a_kept_answer_shows_no_token_in_the_database(api: Api, make_cluster: MakeCluster) -> None:
    path = f"/{make_cluster().service_id}/access/rotate"
    first = api.send("POST", path, Idempotency_Key="k")
    assert api.send("POST", path, Idempotency_Key="k")["token"] == first["token"]
    assert first["token"] not in str(IdempotentAnswer.objects.values())


def test_after_its_time_a_key_is_free_again(api: Api) -> None:
    create(api)
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert create(api).code == "ALREADY_EXISTS"


def test_housekeeping_removes_what_is_past_its_time(api: Api) -> None:
    create(api, "old")
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    create(api, "new", name="b")
    assert sweep_answers() == 1
    assert [row.key for row in IdempotentAnswer.objects.all()] == ["new"]


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_the_answer_is_kept_undoes_the_work(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crashing:
        crashing.setattr(idempotency, "_keep", raise_(Crash()))
        with pytest.raises(Crash):
            create(api)
    assert not Cluster.objects.exists()
    assert create(api).status == 200
    assert Cluster.objects.count() == Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_being_answered_a_second_waits_and_is_then_aborted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, end = threading.Event(), threading.Event()
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 1)
    monkeypatch.setattr(services, "create_cluster", slow(services.create_cluster, begun, end))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(in_thread, lambda: create(api))
        assert begun.wait(60)
        second = pool.submit(in_thread, lambda: create(Api(api.key))).result(60)
        end.set()
        assert first.result(60).status == 200
    assert (second.status, second.code) == (409, "ABORTED")
    assert second.header("Retry-After")


@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_being_answered_a_second_gets_its_answer(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, end = threading.Event(), threading.Event()
    monkeypatch.setattr(services, "create_cluster", slow(services.create_cluster, begun, end))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(in_thread, lambda: create(api))
        assert begun.wait(60)
        second = pool.submit(in_thread, lambda: create(Api(api.key)))
        threading.Timer(0.5, end.set).start()
        assert first.result(60).body == second.result(60).body


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_lock_of_somebody_elses_is_not_said_to_be_the_first_request(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.get("/me")  # notes once in a while when the key was used, which is a write of its own
    held, end = threading.Event(), threading.Event()
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 1)
    with ThreadPoolExecutor() as pool:
        other = pool.submit(in_thread, lambda: write_lock_held(held, end))
        assert held.wait(60)
        said = pool.submit(in_thread, lambda: create(api)).result(60)
        end.set()
        other.result(60)
    assert said.code == "ABORTED"
    assert "or another request that blocks all writes" in said["response"]["message"]


def test_a_database_that_fails_is_not_taken_for_a_first_request(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = raise_(OperationalError("disk I/O error"))
    monkeypatch.setattr(idempotency.Key, "_reserve", failing)
    assert create(api).code == "UNAVAILABLE"


def write_lock_held(held: threading.Event, end: threading.Event) -> None:
    with transaction.atomic():
        held.set()
        assert end.wait(60)


def in_thread(call: Callable[[], T]) -> T:
    try:
        return call()
    finally:
        connection.close()


def slow(
    service: Callable[..., Any], begun: threading.Event, end: threading.Event
) -> Callable[..., Any]:
    def slowly(*arguments: Any, **options: Any) -> Any:
        begun.set()
        assert end.wait(60)
        return service(*arguments, **options)

    return slowly


def raise_(error: BaseException) -> Callable[..., Any]:
    def broken(*arguments: object, **options: object) -> None:
        raise error

    return broken


def test_the_housekeeping_is_woken_by_the_beat() -> None:
    app.loader.import_default_modules()
    assert sweep_answers.name in app.tasks
    assert sweep_answers.name in settings.CELERY_BEAT_SCHEDULE
