from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters.models import Cluster
from tests.api.client import Api
from vbase_console.organizations.models import Organization

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def listing(organization: Organization) -> str:
    return f"/list/{organization.pk}"


@pytest.fixture
def three(api: Api, make_cluster: MakeCluster, work: Callable[[], int]) -> None:
    """One that is deleted, one that runs, one that is being made."""
    gone = make_cluster("gone")
    api.delete(f"/clusters/{gone.cluster_id}")
    work()
    make_cluster("runs")
    make_cluster("new", running=False)


def names(api: Api, listing: str, **query: object) -> list[str]:
    return [service["name"] for service in api.get(listing, **query)["services"]]


@pytest.mark.usefixtures("three")
def test_it_lists_newest_first_and_leaves_out_what_is_deleted(api: Api, listing: str) -> None:
    assert names(api, listing) == ["new", "runs"]
    assert api.get(listing)["total"] == 2


def test_an_organization_may_be_written_in_capitals(
    api: Api, organization: Organization, make_cluster: MakeCluster
) -> None:
    make_cluster("runs")
    assert names(api, f"/list/{str(organization.pk).upper()}") == ["runs"]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("spelling", ["includeDeleted", "include_deleted"])
def test_deleted_ones_are_listed_on_request(api: Api, listing: str, spelling: str) -> None:
    assert names(api, listing, **{spelling: "true"}) == ["new", "runs", "gone"]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("status", "expected"),
    [("RUNNING", ["runs"]), ("CREATING", ["new"]), ("DELETED", ["gone"]), ("STOPPED", [])],
)
def test_it_filters_by_status(api: Api, listing: str, status: str, expected: list[str]) -> None:
    assert names(api, listing, statusFilter=status) == expected


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("none", ["0", "", "SERVICE_STATUS_UNSPECIFIED"])
def test_an_unspecified_status_filters_nothing(api: Api, listing: str, none: str) -> None:
    assert names(api, listing, statusFilter=none) == ["new", "runs"]


@pytest.mark.parametrize("query", [{"statusFilter": "BUSY"}, {"includeDeleted": "yes"}])
def test_it_refuses_what_it_does_not_know(api: Api, listing: str, query: dict[str, str]) -> None:
    assert list(api.get(listing, **query).field_errors) == list(query)


def test_an_unknown_parameter_is_named(api: Api, listing: str) -> None:
    said = api.get(listing, status="RUNNING")
    assert "statusFilter" in said.field_errors["status"][0]


def test_an_address_without_parameters_says_so(api: Api, make_cluster: MakeCluster) -> None:
    said = api.get(f"/{make_cluster().service_id}", status="RUNNING")
    assert said.field_errors == {"status": ["This address takes none."]}


def test_a_stranger_finds_no_list(stranger: Api, listing: str) -> None:
    assert stranger.get(listing).status == 404


def test_one_service_is_what_its_cluster_is(api: Api, make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    service = api.get(f"/{cluster.service_id}")["service"]
    through = api.get(f"/{cluster.organization_id}/clusters/{cluster.cluster_id}")["cluster"]
    assert service == through


@pytest.mark.parametrize("path", ["/svc-none", "/nonsense", "/svc-none/access", "/list/nobody"])
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert (api.get(path).status, api.get(path).code) == (404, "NOT_FOUND")


def test_a_service_that_is_not_there_is_called_a_service(api: Api) -> None:
    said = api.get("/nonsense")["response"]["message"]
    assert said == "Service 'nonsense' not found."
