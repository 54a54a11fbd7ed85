"""Rights on pages. The walk over all addresses is in tests/architecture."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters.models import Cluster
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry

MakeCluster = Callable[..., Cluster]


def test_a_stranger_finds_nothing(make_cluster: MakeCluster, charlies: Browser) -> None:
    cluster = make_cluster()
    assert charlies.open("overview").status_code == 404
    assert charlies.open("cluster-detail", cluster.pk).status_code == 404


def test_a_foreign_key_in_ones_own_address_finds_nothing(
    make_cluster: MakeCluster, charlies: Browser
) -> None:
    cluster = make_cluster()
    charlies.organization = "other"
    assert charlies.open("cluster-detail", cluster.pk).status_code == 404
    assert charlies.send("cluster-stop", cluster.pk).status_code == 404


def test_a_stranger_leaves_no_trace_in_the_history_of_others(
    make_cluster: MakeCluster, charlies: Browser
) -> None:
    charlies.send("cluster-stop", make_cluster().pk)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("name", ["scale", "restart", "stop", "start", "edit", "delete", "token"])
def test_a_viewer_changes_nothing_and_the_try_is_on_record(
    make_cluster: MakeCluster, bobs: Browser, name: str
) -> None:
    cluster = make_cluster()
    assert bobs.send(f"cluster-{name}", cluster.pk).status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.principal, entry.outcome, entry.interface) == (
        "bob@example.com",
        "REFUSED",
        "PAGES",
    )
    assert entry.object_id == cluster.pk


def test_whoever_may_not_is_told_which_roles_may(bobs: Browser) -> None:
    assert b"Only owners can do this. Ask an owner" in bobs.open("membership-list").content
    assert b"Only operators, admins and owners can do this." in bobs.open("cluster-create").content


def test_a_viewer_is_shown_no_control_that_is_refused(
    make_cluster: MakeCluster, bobs: Browser
) -> None:
    content = bobs.open("cluster-detail", make_cluster().pk).content.decode()
    assert 'id="do-' not in content
    assert "cluster-access" not in content
    assert b"Create a cluster" not in bobs.open("cluster-list").content


def test_an_operator_is_not_offered_to_delete(make_cluster: MakeCluster, olgas: Browser) -> None:
    cluster = make_cluster()
    content = olgas.open("cluster-detail", cluster.pk).content.decode()
    assert 'id="do-scale"' in content
    assert 'id="do-delete"' not in content
    assert olgas.send("cluster-delete", cluster.pk, typed_name="vectors").status_code == 403


@pytest.mark.parametrize("name", ["membership-list", "api-key-list", "api-key-create"])
def test_members_and_keys_are_for_owners(olgas: Browser, name: str) -> None:
    assert olgas.open(name).status_code == 403


def test_a_method_that_a_page_does_not_serve_is_refused(alices: Browser) -> None:
    assert alices.client.delete(alices.address("cluster-list")).status_code == 405
    assert alices.send("cluster-list").status_code == 405


@pytest.mark.parametrize("htmx", [False, True], ids=["page", "fragment"])
def test_pages_are_kept_by_no_cache_and_fragments_never_taken_for_them(
    alices: Browser, htmx: bool
) -> None:
    headers = alices.open("cluster-list", htmx=htmx).headers
    assert "no-store" in headers["Cache-Control"]
    assert "HX-Request" in headers["Vary"]


def test_a_fragment_that_is_refused_asks_for_the_whole_page(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    answer = alices.open("cluster-backups", "vc-unknown", htmx=True)
    assert answer.headers["HX-Refresh"] == "true"
