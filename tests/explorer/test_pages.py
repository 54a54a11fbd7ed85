"""Pages of the contents of a cluster, against a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from backups.protection.inventory import record_scan
from clusters.models import Cluster
from clusters.services import stop_cluster
from tests.backups.conftest import fill
from tests.web.conftest import Browser
from vbase_console.explorer import preview, views
from vbase_console.organizations.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def images(milvus: MilvusClient) -> MilvusClient:
    fill(milvus, "images", rows=30)
    return milvus


def test_the_list_shows_rows_load_state_and_indexes(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    said = alices.open("cluster-collections", cluster.pk).content.decode()
    row = said[said.index("<tbody>") : said.index("</tbody>")]
    assert "images" in row
    assert "Loaded" in row
    assert "HNSW (COSINE)" in row
    assert '<td class="number">30<span class="narrow"> rows</span></td>' in row


def test_the_list_offers_to_back_up_and_to_protect(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    said = alices.open("cluster-collections", cluster.pk).content.decode()
    chosen = "?db_name=default&amp;collections=images"
    assert alices.address("backup-take", cluster.pk) + chosen in said
    assert alices.address("policy-create", cluster.pk) + chosen in said


def test_the_chosen_collection_alone_is_ticked_for_the_backup(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    fill(images, "other", rows=0)
    form = alices.open("backup-take", cluster.pk, collections="images").context["form"]
    assert form["collection_names"].value() == ["images"]


def test_the_filter_finds_parts_of_names(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    fill(images, "texts", rows=0)
    listed = alices.open("cluster-collections", cluster.pk, q="EXT").context["collections"]
    assert [row.name for row in listed] == ["texts"]


def test_a_stopped_cluster_tells_why_nothing_is_read(
    alices: Browser, cluster: Cluster, work: Callable[[], int]
) -> None:
    stop_cluster(cluster, by="a test")
    work()
    said = alices.open("cluster-collections", cluster.pk)
    assert said.status_code == 200
    assert "Try again when it is running" in said.content.decode()


def test_a_collections_page_shows_its_schema_and_no_rows(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    said = alices.open("collection-detail", cluster.pk, name="images").content.decode()
    assert "FLOAT_VECTOR" in said
    assert "primary key" in said
    assert "title 0" not in said


def test_a_collections_page_shows_rows_size_and_protection(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    said = alices.open("collection-detail", cluster.pk, name="images")
    assert said.context["listed"].coverage == "UNCOVERED"
    assert "<dt>Rows</dt><dd>30</dd>" in said.content.decode()
    assert "<dt>Size</dt>" in said.content.decode()


def test_first_rows_are_read_on_request_and_audited(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    said = alices.send("collection-rows", cluster.pk, db_name="default", name="images")
    assert len(said.context["first"].rows) == preview.MAX_ROWS
    assert "title 0" in said.content.decode()
    assert '<h2 id="rows" tabindex="-1" autofocus>' in said.content.decode()
    entry = AuditEntry.objects.get(action="ReadCollectionRows")
    assert (entry.outcome, entry.detail) == ("ACCEPTED", "collection default.images")


def test_a_viewer_reads_no_rows(bobs: Browser, cluster: Cluster, images: MilvusClient) -> None:
    said = bobs.send("collection-rows", cluster.pk, db_name="default", name="images")
    assert said.status_code == 403
    page = bobs.open("collection-detail", cluster.pk, name="images").content.decode()
    assert "show-rows" not in page


def test_long_values_are_cut() -> None:
    assert preview.shown("é" * 1000) == "é" * preview.MAX_CHARACTERS + "…"
    assert preview.shown([0.5] * 768) == "[" + "0.5, " * 8 + "… (768 elements)]"
    assert len(preview.shown(b"\xff" * 1000)) <= 2 * preview.MAX_CHARACTERS + 1


def test_rows_that_exceed_the_limit_of_bytes_are_reduced(
    cluster: Cluster, images: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "MAX_BYTES", 1000)
    first = preview.first_rows(cluster, "default", "images")
    assert (len(first.rows), first.is_reduced) == (5, True)


def test_a_collection_is_released_and_loaded(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    said = alices.send("collection-release", cluster.pk, db_name="default", name="images")
    page = alices.address("collection-detail", cluster.pk)
    assert said.url == f"{page}?db_name=default&name=images"
    assert str(images.get_load_state("images")["state"]) == "NotLoad"
    alices.send("collection-load", cluster.pk, db_name="default", name="images")
    assert str(images.get_load_state("images")["state"]) == "Loaded"


def test_a_database_is_created_and_dropped(
    alices: Browser, cluster: Cluster, milvus: MilvusClient
) -> None:
    alices.send("database-create", cluster.pk, name="films")
    assert "films" in milvus.list_databases()
    alices.send("database-drop", cluster.pk, name="films")
    assert "films" not in milvus.list_databases()


def test_a_refusal_stands_in_the_form(
    alices: Browser, cluster: Cluster, milvus: MilvusClient
) -> None:
    said = alices.send("database-create", cluster.pk, name="default")
    assert said.status_code == 409
    assert "exists already" in said.content.decode()


def test_the_clusters_page_shows_what_is_known_and_then_asks_the_server(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    record_scan(cluster, {"default": ["images"]})
    page = alices.open("cluster-detail", cluster.pk).content.decode()
    summary = alices.address("cluster-collections-summary", cluster.pk)
    section = page[page.index('id="cluster-collections"') :]
    assert section.index(f'hx-get="{summary}"') < section.index("images")
    said = alices.open("cluster-collections-summary", cluster.pk, htmx=True).content.decode()
    assert "HNSW (COSINE)" in said
    assert "hx-get" not in said


def test_the_clusters_page_asks_again_while_the_server_starts(
    alices: Browser, make_cluster: Callable[..., Cluster]
) -> None:
    new = make_cluster("new", running=False)
    Cluster.objects.filter(pk=new.pk).update(driver="embedded")
    said = alices.open("cluster-collections-summary", new.pk, htmx=True).content.decode()
    assert 'hx-trigger="load delay:3s"' in said


def test_a_stranger_finds_no_page(charlies: Browser, cluster: Cluster) -> None:
    assert charlies.open("cluster-collections", cluster.pk).status_code == 404


def test_the_filtered_collections_are_exported_with_their_facts(
    alices: Browser, cluster: Cluster, images: MilvusClient
) -> None:
    fill(images, "texts", rows=0)
    answer = alices.open("cluster-collections", cluster.pk, q="imag", export="csv")
    (line,) = b"".join(answer.streaming_content).decode().splitlines()[1:]
    assert line.startswith("default,images,30,")
    assert "LOADED" in line
    assert "HNSW" in line


def test_an_export_without_time_for_facts_has_the_names(
    alices: Browser, cluster: Cluster, images: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "EXPORT_FACTS_SECONDS", 0.0)
    answer = alices.open("cluster-collections", cluster.pk, q="images", export="csv")
    (line,) = b"".join(answer.streaming_content).decode().splitlines()[1:]
    assert line.startswith("default,images,,,UNKNOWN,")
