from __future__ import annotations

import pytest
from django.db.models import Model
from django.utils import timezone

from backups.models import Backup
from backups.policies.models import BackupPolicy, PolicyRun
from clusters.models import Cluster
from tests.api.client import Api
from vbase_console.organizations.models import Organization

pytestmark = pytest.mark.django_db
COUNT = 230


@pytest.fixture
def listing(organization: Organization) -> str:
    Cluster.objects.bulk_create(
        Cluster(organization=organization, name=f"c{number}", version="1")
        for number in range(COUNT)
    )
    return f"/list/{organization.pk}"


def test_a_page_holds_fifty_and_the_total_counts_all(api: Api, listing: str) -> None:
    said = api.get(listing)
    assert (len(said["services"]), said["total"]) == (50, COUNT)


def test_two_hundred_is_the_most(api: Api, listing: str) -> None:
    assert len(api.get(listing, pageSize=1000)["services"]) == 200
    assert len(api.get(listing, page=2, page_size=10**9)["services"]) == 30


@pytest.mark.parametrize(
    ("page", "reason"),
    [("-1", "Give 0 or more."), ("abc", "Give a whole number."), ("1.5", "Give a whole number.")],
)
def test_a_page_that_does_not_exist_is_refused_with_the_possible_numbers(
    api: Api, listing: str, page: str, reason: str
) -> None:
    refused = api.get(listing, page=page, pageSize=page)
    assert refused.field_errors == {name: [reason] for name in ("page", "pageSize")}


@pytest.fixture
def _made_at_once(listing: str) -> None:
    Cluster.objects.update(created_at=timezone.now())


@pytest.mark.usefixtures("_made_at_once")
def test_pages_together_are_everything_once(api: Api, listing: str) -> None:
    pages = [api.get(listing, page=page, pageSize=100)["services"] for page in (1, 2, 3)]
    ids = [service["serviceId"] for page in pages for service in page]
    assert len(ids) == len(set(ids)) == COUNT


def test_the_newest_stands_first(api: Api, listing: str) -> None:
    made = [service["createdAt"] for service in api.get(listing, pageSize=200)["services"]]
    assert made == sorted(made, reverse=True)


@pytest.mark.usefixtures("_made_at_once")
def test_of_those_made_at_once_the_highest_id_stands_first(api: Api, listing: str) -> None:
    ids = [service["clusterId"] for service in api.get(listing, pageSize=200)["services"]]
    assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize("model", [Cluster, Backup, BackupPolicy, PolicyRun])
def test_what_is_paged_has_an_order_without_ties(model: type[Model]) -> None:
    """SQLite reads an index that happens to have it, PostgreSQL whatever it likes."""
    last = model._meta.ordering[-1].lstrip("-")
    assert last in ("pk", model._meta.pk.name)


@pytest.mark.parametrize("page", [6, 10**6, 10**30])
def test_beyond_the_last_page_there_is_nothing(api: Api, listing: str, page: int) -> None:
    said = api.get(listing, page=page)
    assert (said["services"], said["total"]) == ([], COUNT)


@pytest.mark.parametrize("name", ["page", "pageSize"])
@pytest.mark.parametrize("value", ["-1", "a", "", "1.5", "1e3", "9" * 5000])
def test_what_is_no_page_is_refused(api: Api, listing: str, name: str, value: str) -> None:
    said = api.get(listing, **{name: value})
    assert (said.code, list(said.field_errors)) == ("INVALID_ARGUMENT", [name])


def test_zero_is_as_good_as_nothing(api: Api, listing: str) -> None:
    assert api.get(listing, page=0, pageSize=0).body == api.get(listing).body


def test_zero_in_a_body_is_as_good_as_nothing(api: Api, organization: Organization) -> None:
    said = api.post(f"/backup/org/{organization.pk}", page=0, pageSize=0)
    assert (said.status, said["total"]) == (200, 0)


def test_a_parameter_given_twice_is_refused(api: Api, listing: str) -> None:
    assert list(api.get(f"{listing}?page=1&page=2").field_errors) == ["page"]
    assert list(api.get(f"{listing}?pageSize=1&page_size=2").field_errors) == ["pageSize"]


def test_an_address_without_parameters_takes_none(api: Api) -> None:
    assert list(api.get("/me", verbose="true").field_errors) == ["verbose"]
