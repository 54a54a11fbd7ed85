"""The list of collections: which are taken by a policy, and how new their backups are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups import discovery
from backups.discovery import DiscoveredCollection
from backups.policies import services
from backups.policies.validation import PolicySpec
from backups.protection.coverage import update_coverage
from backups.protection.models import InventoryScan, KnownCollection
from clusters.models import Cluster
from tests.protection.conftest import Cover, cover, know, taken
from tests.web.conftest import Browser

__all__ = ["cover"]
MakeCluster = Callable[..., Cluster]
LONG = timedelta(days=3)
MOST = 12


def names(answer: Any) -> list[str]:
    return [row.collection.name for row in answer.context["collections"]]


@pytest.fixture
def three(cluster: Cluster, cover: Cover) -> Cluster:
    """A stale, a fresh and an uncovered collection."""
    know(cluster, "fresh", "old", "bare")
    cover("fresh", "old")
    taken(cluster, LONG, "old")
    taken(cluster, timedelta(), "fresh", proven_at=timezone.now())
    return cluster


def test_what_nobody_takes_comes_first_and_what_is_stale_next(
    three: Cluster, alices: Browser
) -> None:
    answer = alices.open("protection")
    assert names(answer) == ["bare", "old", "fresh"]
    assert [row.state for row in answer.context["collections"]] == ["UNCOVERED", "STALE", "COVERED"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"state": "uncovered"}, ["bare"]),
        ({"state": "stale"}, ["old"]),
        ({"state": "covered"}, ["old", "fresh"]),
        ({"q": "FRE"}, ["fresh"]),
        ({"cluster": "vector", "state": "stale"}, ["old"]),
        ({"cluster": "other"}, []),
        ({"db_name": "other"}, []),
        ({"sort": "-name"}, ["old", "fresh", "bare"]),
        ({"sort": "newest_backup__created_at"}, ["bare", "old", "fresh"]),
        ({"sort": "policy__schedule_cron", "page": "x"}, ["bare", "old", "fresh"]),
        ({"state": "nonsense"}, ["bare", "old", "fresh"]),
    ],
)
def test_it_narrows_and_sorts_on_the_server(
    three: Cluster, alices: Browser, asked: dict[str, str], found: list[str]
) -> None:
    assert names(alices.open("protection", **asked)) == found


@pytest.mark.parametrize("state", ["covered", "stale", "uncovered"])
def test_each_figure_leads_to_the_list_of_what_it_counts(
    three: Cluster, alices: Browser, state: str
) -> None:
    answer = alices.open("overview")
    assert f"{alices.address('protection')}?state={state}" in answer.content.decode()
    listed = alices.open("protection", state=state).context["rows"].paginator.count
    assert answer.context["figures"][state] == listed


def test_a_collection_is_protected_with_one_link(three: Cluster, alices: Browser) -> None:
    content = alices.open("protection", state="uncovered").content.decode()
    address = f"{alices.address('policy-create', three.pk)}?db_name=default&amp;collections=bare"
    assert address in content
    form = alices.client.get(address.replace("&amp;", "&")).content.decode()
    assert 'value="bare"' in form
    assert 'value="chosen" required id="id_which_1" checked' in form


def test_who_may_make_no_policy_is_offered_none(three: Cluster, bobs: Browser) -> None:
    content = bobs.open("protection").content
    assert b"Protect<" not in content
    assert b">none<" in content


def test_a_paused_policy_is_named_as_such(three: Cluster, cover: Cover, alices: Browser) -> None:
    services.pause_policy(cover("bare"))
    content = alices.open("protection", state="uncovered").content.decode()
    assert "policy paused" in content


def test_old_news_say_how_old_they_are(three: Cluster, alices: Browser) -> None:
    assert b"last scanned" not in alices.open("protection").content
    KnownCollection.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    assert b"last scanned" in alices.open("protection").content


def test_silent_clusters_are_said(three: Cluster, alices: Browser) -> None:
    assert b"did not answer" not in alices.open("protection").content
    InventoryScan.objects.update(failures=1)
    assert b"did not answer" not in alices.open("protection").content
    InventoryScan.objects.update(failures=2)
    assert b"1 running cluster did not answer" in alices.open("protection").content
    assert b"1 running cluster did not answer" in alices.open("overview").content


def test_collections_that_are_not_kept_are_said(three: Cluster, alices: Browser) -> None:
    InventoryScan.objects.update(omitted_count=1_500)
    assert b"1,500 further collections are not included" in alices.open("protection").content


def test_what_goes_stale_in_a_stopped_cluster_says_why(three: Cluster, alices: Browser) -> None:
    Cluster.objects.update(status="STOPPED")
    content = alices.open("protection", state="stale").content
    assert b"runs are skipped while the cluster is stopped" in content


def test_empty_states_say_what_that_means(cluster: Cluster, alices: Browser) -> None:
    assert b"No collections found yet" in alices.open("protection").content
    assert b"No uncovered collections" in alices.open("protection", state="uncovered").content
    assert b"No stale collections" in alices.open("protection", state="stale").content
    assert b"No collection matches the filter" in alices.open("protection", q="x").content


def test_the_collections_of_others_are_not_shown(three: Cluster, charlies: Browser) -> None:
    charlies.organization = "other"
    answer = charlies.open("protection")
    assert names(answer) == []
    assert set(answer.context["figures"].values()) == {0}


def test_it_pages(cluster: Cluster, alices: Browser) -> None:
    know(cluster, *(f"c{number:02}" for number in range(51)))
    assert len(names(alices.open("protection"))) == 50
    assert names(alices.open("protection", page=2)) == ["c50"]


def fill(cluster: Cluster, count: int) -> None:
    """Clusters with a policy, a backup and two collections each."""
    own = {"organization_id": cluster.organization_id}
    made = Cluster.objects.bulk_create(
        Cluster(**own, name=f"c{number} of {count}", version="2.1.0", status="RUNNING")
        for number in range(count)
    )
    KnownCollection.objects.bulk_create(
        KnownCollection(**own, cluster=each, db_name="default", name=name)
        for each in made
        for name in ("images", "texts")
    )
    for each in made[:60]:
        services.create_policy(each, PolicySpec(schedule_cron="@daily", retention_count=2))
        taken(each, LONG, proven_at=timezone.now())
        update_coverage(each.pk)


def test_it_costs_the_same_at_ten_and_at_a_thousand_clusters(
    cluster: Cluster, alices: Browser
) -> None:
    def queries(name: str) -> int:
        alices.open(name)
        with CaptureQueriesContext(connection) as captured:
            assert alices.open(name).status_code == 200
        return len(captured)

    most = {"protection": MOST, "overview": 20}
    fill(cluster, 10)
    few = {name: queries(name) for name in most}
    fill(cluster, 1_000)
    assert [name for name in most if queries(name) > few[name]] == []
    assert [name for name in most if few[name] > most[name]] == []


def test_the_take_page_notes_what_it_saw(
    cluster: Cluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "databases_of", lambda cluster: ["default"])
    seen = [DiscoveredCollection(name="images", rows=1)]
    monkeypatch.setattr(discovery, "collections_of", lambda cluster, database: seen)
    alices.open("backup-take", cluster.pk)
    assert names(alices.open("protection")) == ["images"]
