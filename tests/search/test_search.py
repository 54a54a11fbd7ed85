"""GET /search and the search page: exact ids, and prefixes of words of names."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations import RunPython
from django.test.utils import CaptureQueriesContext

from backups.models import Backup
from backups.policies.services import create_policy, delete_policy
from backups.policies.validation import PolicySpec
from backups.protection.inventory import record_scan, remove_deleted_clusters
from clusters.models import Cluster
from clusters.services import delete_cluster, update_cluster
from tests.api.client import Api
from tests.backups.seeds import seed_backup, seed_job
from tests.web.conftest import Browser
from vbase_console.core.prefixes import with_prefix
from vbase_console.search.models import CollectionWord, SearchWord
from vbase_console.search.results import MAX_NAMED
from vbase_console.search.words import MAX_READ, beginning_with
from vbase_console.tasks.models import Task

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def shop(make_cluster: MakeCluster) -> Cluster:
    return make_cluster("Shop-search eu_1")


def found(api: Api, q: str) -> list[tuple[str, str]]:
    said = api.get("/search", q=q)
    assert said.status == 200, said.body
    return [(result["kind"], result["name"]) for result in said["results"]]


@pytest.mark.parametrize("q", ["shop", "SEAR", "eu", "shop se", "search-shop", "eu_1"])
def test_the_beginning_of_a_word_finds_a_cluster(api: Api, shop: Cluster, q: str) -> None:
    assert found(api, q) == [("CLUSTER", shop.name)]


@pytest.mark.parametrize("q", ["earch", "shop film", "%", "__"])
def test_the_middle_of_a_word_or_a_pattern_finds_nothing(api: Api, shop: Cluster, q: str) -> None:
    if len(q) >= 2:
        assert found(api, q) == []


def test_an_exact_id_finds_its_object(api: Api, shop: Cluster) -> None:
    backup = seed_backup(shop, "nightly")
    job = seed_job(backup)
    task = Task.objects.get(kind="DEPLOYMENT")
    assert found(api, shop.cluster_id) == [("CLUSTER", shop.name)]
    assert found(api, shop.service_id) == [("CLUSTER", shop.name)]
    assert found(api, backup.backup_id) == [("BACKUP", "nightly")]
    assert found(api, job.task.task_id) == [("JOB", job.task.kind)]
    assert found(api, task.task_id) == [("TASK", "DEPLOYMENT")]


def test_a_result_names_all_that_the_wire_has(api: Api, shop: Cluster) -> None:
    (result,) = api.get("/search", q="shop")["results"]
    assert result == {
        "kind": "CLUSTER",
        "id": shop.cluster_id,
        "name": shop.name,
        "organizationId": str(shop.organization_id),
        "clusterId": shop.cluster_id,
        "url": f"/o/acme/clusters/{shop.cluster_id}",
    }


def test_policies_and_backups_are_found_by_name(api: Api, shop: Cluster) -> None:
    create_policy(shop, PolicySpec(schedule_cron="@daily", retention_count=1, name="Night run"))
    seed_backup(shop, "before-night")
    assert found(api, "night") == [("POLICY", "Night run"), ("BACKUP", "before-night")]


def test_a_new_name_replaces_the_old_one(api: Api, shop: Cluster) -> None:
    update_cluster(shop, name="films")
    assert found(api, "shop") == []
    assert found(api, "film") == [("CLUSTER", "films")]


def test_deleted_objects_are_not_found(api: Api, shop: Cluster, work: Callable[[], int]) -> None:
    policy = create_policy(
        shop, PolicySpec(schedule_cron="@daily", retention_count=1, name="Night run")
    )
    delete_policy(policy)
    assert found(api, "night") == []
    delete_cluster(shop, by="a test")
    work()
    assert found(api, "shop") == []


@pytest.mark.parametrize("q", ["", "a", " a ", "a" * 101])
def test_a_text_that_is_too_short_or_too_long_is_refused(api: Api, q: str) -> None:
    assert "q" in api.get("/search", q=q).field_errors


def test_a_key_finds_only_kinds_that_it_may_list(
    key_with: Callable[..., Api], shop: Cluster
) -> None:
    seed_backup(shop, "shop-backup")
    assert found(key_with("GetCluster"), "shop") == []
    assert found(key_with("ListBackups"), "shop") == [("BACKUP", "shop-backup")]


def test_a_stranger_finds_nothing(stranger: Api, shop: Cluster) -> None:
    assert found(stranger, "shop") == []
    assert found(stranger, shop.cluster_id) == []


def test_at_most_twenty_are_found_in_no_more_statements_than_one(api: Api, shop: Cluster) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            found(api, "shop")
        return len(captured)

    seed_backup(shop, "shop-backup")
    cost()  # the first call notes that the key is in use
    few = cost()
    for number in range(25):
        seed_backup(shop, f"shop-{number}")
    assert cost() <= few
    assert len(found(api, "shop")) == 20


def test_prefixes_are_looked_up_in_the_index(shop: Cluster) -> None:
    rows = beginning_with("sho").filter(organization=shop.organization_id)
    SearchWord.objects.bulk_create(
        SearchWord(organization_id=shop.organization_id, word=f"w{n}", object_id=f"o{n}")
        for n in range(2000)
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE search_searchword")
    assert "search_by_prefix" in rows.order_by().explain()


def test_the_page_links_what_it_finds(alices: Browser, shop: Cluster) -> None:
    said = alices.open("search", q="shop").content.decode()
    assert f'href="/o/acme/clusters/{shop.cluster_id}"' in said


def test_the_page_says_that_a_text_is_too_short(alices: Browser) -> None:
    assert "Give 2 to 100 characters" in alices.open("search", q="a").content.decode()


def test_the_page_is_reached_from_every_page(alices: Browser) -> None:
    assert 'id="to-search"' in alices.open("overview").content.decode()


def test_backups_that_were_never_written_are_not_found(api: Api, shop: Cluster) -> None:
    backup: Any = seed_backup(shop, "nightly")
    Backup.objects.filter(pk=backup.pk).update(status="GONE")
    assert found(api, "nightly") == []


@pytest.fixture
def images(shop: Cluster) -> Cluster:
    """A cluster with known collections."""
    record_scan(shop, {"default": ["Product_images", "images", "users"], "a&b": ["images_2026"]})
    return shop


@pytest.mark.parametrize("q", ["product", "PROD", "Product_im", "imag prod"])
def test_the_beginning_of_a_word_finds_a_collection(api: Api, images: Cluster, q: str) -> None:
    assert found(api, q) == [("COLLECTION", "Product_images")]


def test_a_collection_with_the_whole_name_comes_first(api: Api, images: Cluster) -> None:
    names = [name for _, name in found(api, "images")]
    assert names == ["images", "Product_images", "images_2026"]


def test_a_collection_leads_to_its_page(api: Api, alices: Browser, images: Cluster) -> None:
    (result,) = api.get("/search", q="2026")["results"]
    assert result == {
        "kind": "COLLECTION",
        "id": f"{images.pk}/a&b/images_2026",
        "name": "images_2026",
        "organizationId": str(images.organization_id),
        "clusterId": images.pk,
        "url": f"/o/acme/clusters/{images.pk}/collection?db_name=a%26b&name=images_2026",
    }
    page = alices.open("search", q="2026").content.decode()
    assert "in a&amp;b of Shop-search eu_1" in page


def test_collections_need_the_scope_of_their_list(
    key_with: Callable[..., Api], stranger: Api, images: Cluster
) -> None:
    assert found(key_with("GetCluster"), "users") == [("COLLECTION", "users")]
    assert found(key_with("ListBackups"), "users") == []
    assert found(stranger, "users") == []


def test_dropped_collections_are_not_found(api: Api, images: Cluster) -> None:
    record_scan(images, {"default": ["images"]})
    assert found(api, "users") == []


@pytest.mark.parametrize("name", ["0002_collection_words", "0001_squashed_0002_collection_words"])
def test_collections_from_before_the_search_are_found(api: Api, images: Cluster, name: str) -> None:
    CollectionWord.objects.all().delete()
    migration = import_module(f"vbase_console.search.migrations.{name}").Migration
    for operation in migration.operations:
        if isinstance(operation, RunPython):
            operation.code(apps, None)
    assert found(api, "users") == [("COLLECTION", "users")]


def test_collections_of_deleted_clusters_are_not_found(
    api: Api, images: Cluster, work: Callable[[], int]
) -> None:
    delete_cluster(images, by="alice")
    assert found(api, "users") == []
    work()
    remove_deleted_clusters()
    assert not CollectionWord.objects.exists()


def test_many_collections_are_found_in_as_many_statements_as_one(api: Api, shop: Cluster) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            found(api, "images")
        return len(captured)

    record_scan(shop, {"default": ["images"]})
    found(api, "images")  # the first call notes that the key is in use
    few = cost()
    record_scan(shop, {"default": ["images", *(f"a_images_{number}" for number in range(30))]})
    assert cost() == few
    assert found(api, "images")[0] == ("COLLECTION", "images")
    assert len(found(api, "images")) == 20


def test_words_of_collections_are_looked_up_in_the_index(shop: Cluster) -> None:
    record_scan(shop, {"default": [f"w{number}" for number in range(2000)]})
    rows = CollectionWord.objects.filter(organization=shop.organization_id).order_by()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE search_collectionword")
    assert "collection_by_prefix" in with_prefix(rows, "word", "imag").explain()


@pytest.mark.parametrize("limit", [3, MAX_READ])
def test_the_object_with_exactly_this_name_is_first_among_many(
    api: Api, shop: Cluster, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr("vbase_console.search.words.MAX_READ", limit)
    seed_backup(shop, "nightly")
    for number in range(25):
        seed_backup(shop, f"nightly-{number}")
    names = [name for _, name in found(api, "nightly")]
    assert (names[0], names[1], len(names), len(set(names))) == ("nightly", "nightly-24", 20, 20)


def test_a_rare_word_finds_objects_that_also_have_common_ones(
    api: Api, shop: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vbase_console.search.words.MAX_READ", 3)
    for number in range(10):
        seed_backup(shop, f"nightly-{number}")
    assert found(api, "nightly 7") == [("BACKUP", "nightly-7")]
    assert found(api, "nightly 70") == []


def test_collections_that_match_by_several_words_are_counted_once(api: Api, shop: Cluster) -> None:
    names = [f"{n}_" + "_".join(f"data{n:02}{word:02}" for word in range(12)) for n in range(20)]
    record_scan(shop, {"default": names})
    assert {name for _, name in found(api, "data")} == set(names)


@pytest.mark.parametrize("order", ["collection zz", "zz collection"])
def test_the_rarest_word_is_read_however_common_the_others_are(
    api: Api, shop: Cluster, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr("vbase_console.search.words.MAX_READ", 3)
    record_scan(shop, {"default": [*(f"collection_{n}" for n in range(9)), "zz_collection"]})
    assert found(api, order) == [("COLLECTION", "zz_collection")]


def test_backups_are_found_when_newer_ones_are_many(
    api: Api, shop: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy was renamed: the words of its old backups are as common as the searches allow."""
    for limit in ("MAX_READ", "NEWEST_CHECKED"):
        monkeypatch.setattr(f"vbase_console.search.words.{limit}", 3)
    for name in ("legacy", "nightly"):
        for number in range(6):
            seed_backup(shop, f"{name}-{number}")
    names = [name for _, name in found(api, "legacy")]
    assert len(names) >= 3
    assert all(name.startswith("legacy") for name in names)
    assert len(found(api, "nightly")) >= 3


def test_a_search_reads_a_bounded_number_of_words(api: Api, shop: Cluster) -> None:
    record_scan(shop, {"default": ["images_users"]})
    seed_backup(shop, "images-users")
    with CaptureQueriesContext(connection) as captured:
        found(api, "images users")
    reading = [sql for each in captured if (sql := each["sql"]).count('FROM "search_') == 1]
    of_words = [sql for sql in reading if sql.split(" FROM ")[1].startswith('"search_')]
    assert len(of_words) == 3  # of objects, of collections, and of collections with this name
    assert all(sql.rpartition("LIMIT ")[2] in {str(MAX_READ), str(MAX_NAMED)} for sql in of_words)
