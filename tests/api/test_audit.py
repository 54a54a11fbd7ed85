from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters import services
from clusters.models import Cluster
from tests.api.client import Api
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import GET_CLUSTER

pytestmark = pytest.mark.django_db


def entry() -> AuditEntry:
    return AuditEntry.objects.get()


def test_an_accepted_change_leaves_a_row(api: Api) -> None:
    said = api.post("/clusters", name="a")
    row = entry()
    assert (row.principal, row.action, row.outcome) == ("key:ci", "CreateCluster", "ACCEPTED")
    assert (row.interface, row.source) == ("API", "127.0.0.1")
    assert row.object_id == said["cluster"]["clusterId"]
    assert row.detail == said.header("Operation-Id")


def test_a_refused_change_leaves_a_row_with_its_reason(api: Api) -> None:
    api.delete("/clusters/vc-none")
    row = entry()
    assert (row.action, row.object_id, row.outcome) == ("DeleteCluster", "vc-none", "REFUSED")
    assert row.detail.startswith("NOT_FOUND: ")


def test_want_of_a_scope_leaves_a_row(key_with: Callable[..., Api]) -> None:
    key_with(GET_CLUSTER).post("/clusters", name="a")
    assert entry().detail.startswith("PERMISSION_DENIED: ")


@pytest.mark.parametrize("body", ["[]", "{", '{"nme": 1}'])
def test_a_body_that_is_refused_leaves_a_row(api: Api, body: str) -> None:
    api.raw("/clusters", body)
    assert entry().detail.startswith("INVALID_ARGUMENT: ")


def test_an_error_of_ours_leaves_a_row(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(services, "create_cluster", broken)
    api.post("/clusters", name="a")
    assert entry().outcome == "FAILED"
    assert "secret" not in entry().detail


def test_history_and_change_are_committed_together(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("vbase_console.organizations.audit.AuditEntry.objects.create", broken)
    assert api.post("/clusters", name="a").status == 500
    assert not Cluster.objects.exists()


def test_reading_leaves_no_row(api: Api) -> None:
    api.get("/me")
    api.get("/vc-none/access")
    assert not AuditEntry.objects.exists()


def test_nobody_leaves_no_row(without_key: Api) -> None:
    without_key.post("/clusters", name="a")
    assert not AuditEntry.objects.exists()


def test_a_nul_in_an_address_does_not_reach_the_history(api: Api) -> None:
    assert api.delete("/clusters/vc-%00x").status == 404
    assert entry().object_id == "vc-x"
