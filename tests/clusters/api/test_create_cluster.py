from __future__ import annotations

import dataclasses

import pytest

from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from tests.api.client import Api
from vbase_console.organizations.models import Organization

pytestmark = pytest.mark.django_db


def test_it_answers_a_service_that_is_creating(api: Api) -> None:
    said = api.post("/clusters", name="vectors")
    assert said.status == 200, said.body
    assert said["cluster"]["serviceStatus"] == "CREATING"
    assert said["response"] == {"success": True}


def test_it_names_the_operation_and_where_it_can_be_read(api: Api) -> None:
    said = api.post("/clusters", name="vectors")
    task = api.get(said.header("Location") or "")
    assert task["task"]["taskId"] == said.header("Operation-Id")
    assert task["task"]["taskType"] == "DEPLOYMENT"


def test_every_field_of_a_service_is_present(api: Api, organization: Organization) -> None:
    cluster = api.post("/clusters", name="vectors", labels={"team_name": "a"})["cluster"]
    row = Cluster.objects.get()
    assert cluster == {
        "serviceId": row.service_id,
        "clusterId": row.cluster_id,
        "organizationId": str(organization.pk),
        "name": "vectors",
        "serviceType": "CLUSTER",
        "serviceStatus": "CREATING",
        "statusMessage": None,
        "drn": f"drn:dodil:vbase:{row.service_id}",
        "version": "2.1.0",
        "labels": {"team_name": "a"},
        "deletionProtection": False,
        "createdAt": row.created_at.isoformat().replace("+00:00", "Z"),
        "updatedAt": row.updated_at.isoformat().replace("+00:00", "Z"),
    }


def test_it_takes_resources_labels_and_protection(api: Api) -> None:
    config = {"version": "2.0.0", "computeUnits": 2, "enableAutoScaling": True}
    api.post("/clusters", name="v", resourceConfig=config, deletionProtection=True)
    row = Cluster.objects.get()
    assert (row.version, row.compute_units, row.max_compute_units) == ("2.0.0", 2, 2)
    assert row.enable_auto_scaling
    assert row.deletion_protection


@pytest.mark.parametrize(("most", "offered"), [(1, "1 replica."), (3, "1 to 3 replicas.")])
def test_too_many_replicas_are_refused_with_the_number_that_is_offered(
    api: Api, driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch, most: int, offered: str
) -> None:
    offers = dataclasses.replace(driver.capabilities, max_replicas=most)
    monkeypatch.setattr(driver, "capabilities", offers)
    said = api.post("/clusters", name="v", resourceConfig={"enableReplicas": True, "replicas": 4})
    assert said.field_errors["resourceConfig.replicas"] == [f"The memory driver offers {offered}"]


def test_null_means_left_out(api: Api) -> None:
    said = api.post("/clusters", name="v", resourceConfig=None, labels=None, organizationId=None)
    assert said.status == 200
    assert said["cluster"]["labels"] == {}


def test_it_asks_for_a_name(api: Api) -> None:
    said = api.post("/clusters")
    assert (said.status, said.code) == (400, "INVALID_ARGUMENT")
    assert list(said.field_errors) == ["name"]


@pytest.mark.parametrize("name", ["", "   ", "a/b", "x" * 64, "tab\tin", "nul\0", 5, None, ["a"]])
def test_it_refuses_a_name_that_cannot_be_one(api: Api, name: object) -> None:
    said = api.post("/clusters", name=name)
    assert (said.code, list(said.field_errors)) == ("INVALID_ARGUMENT", ["name"])


def test_it_refuses_a_name_that_is_taken(api: Api) -> None:
    api.post("/clusters", name="vectors")
    said = api.post("/clusters", name="vectors")
    assert (said.status, said.code) == (409, "ALREADY_EXISTS")


def test_it_names_the_versions_that_there_are(api: Api) -> None:
    said = api.post("/clusters", name="v", resourceConfig={"version": "9"})
    assert "2.1.0, 2.0.0" in said.field_errors["resourceConfig.version"][0]


@pytest.mark.parametrize("units", [0, 65, -1, "2", 1.5, True, 10**30, [1]])
def test_it_refuses_units_that_cannot_be(api: Api, units: object) -> None:
    said = api.post("/clusters", name="v", resourceConfig={"computeUnits": units})
    assert said.code == "INVALID_ARGUMENT"
    assert list(said.field_errors) == ["resourceConfig.computeUnits"]


def test_it_names_the_range_whichever_rule_refuses_first(api: Api) -> None:
    for config in ({"computeUnits": 65}, {"maxComputeUnits": 0}):
        said = api.post("/clusters", name="v", resourceConfig=config)
        assert list(said.field_errors.values()) == [["Give 1 to 64 compute units."]]
    said = api.post("/clusters", name="v", resourceConfig={"computeUnits": 2, "maxComputeUnits": 1})
    assert list(said.field_errors) == ["resourceConfig.maxComputeUnits"]


def test_it_takes_the_organization_of_the_key_and_no_other(api: Api, stranger: Api) -> None:
    mine = api.get("/me")["organizationId"]
    assert api.post("/clusters", name="a", organizationId=mine).status == 200
    assert stranger.post("/clusters", name="b", organizationId=mine).status == 404
