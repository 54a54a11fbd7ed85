"""The contents of an attached cluster are read from its server; its load is not measured."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.conftest import fill
from tests.drivers.launched import Launched


@pytest.fixture
def attached(attach: Callable[..., Cluster], elsewhere: Launched) -> Cluster:
    return attach(elsewhere.port)


def test_its_collections_are_listed_without_a_size(
    api: Api, attached: Cluster, milvus: MilvusClient
) -> None:
    fill(milvus, "images", rows=20)
    (row,) = api.get(f"/clusters/{attached.pk}/collections")["collections"]
    assert (row["name"], row["rowCount"], row["sizeBytes"]) == ("images", 20, None)


def test_a_collection_is_released(api: Api, attached: Cluster, milvus: MilvusClient) -> None:
    fill(milvus, "images", rows=5)
    assert api.post(f"/clusters/{attached.pk}/collections/images/release").status == 200
    assert str(milvus.get_load_state("images")["state"]) == "NotLoad"


def test_its_metrics_are_refused_with_the_reason(api: Api, attached: Cluster) -> None:
    said = api.get(f"/clusters/{attached.pk}/metrics")
    assert said.code == "FAILED_PRECONDITION"
    assert "operated elsewhere" in said["response"]["message"]
