"""However many there are of what a page lists, it costs the same number of queries.

Every page that the resolver knows is measured, or it stands here with the reason why not.
"""

from __future__ import annotations

import dataclasses

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.architecture.cast import Tenant, make_tenant, values_of
from tests.architecture.routes import Route, all_routes
from tests.web.conftest import HTMX, Browser
from tests.web.crowd import Crowd
from vbase_console.organizations.models import Membership, Organization
from vbase_console.organizations.scopes import Role

FEW, MANY = 1, 60  # more than fit on one page of a list
MOST = 20

# Page → why it is not measured.
NOT_MEASURED = {
    "api-schema": "the description of the API, made from code",
    "api-docs": "the description of the API, made from code",
    "home": "it leads to another page",
    "to-admin": "it leads to another page",
    "to-api-docs": "it leads to another page",
    "sign-in": "it is for those who have not signed in",
    "password-change": "a form about the person alone",
    "password-set": "a form about the person alone",
    "to-overview": "a redirect",
    "organization-list": "measured below: it lists what belongs to no single organization",
    "backup-restore-confirm": "it leads back to the form",
    "restore-tick": "it leads back to the form",
    "take-tick": "it leads back to the form",
    "cluster-token": "it leads back to the cluster's page",
    "backup-bulk-verify": "without a selection it leads back to the list",
    "backup-bulk-pin": "without a selection it leads back to the list",
    "backup-bulk-delete": "without a selection it leads back to the list",
    "operation-bulk-retry": "without a selection it leads back to the list",
    "rollout-create": "measured in test_rollouts.py: it shows the clusters that are selected",
    "tasks-moved": "it leads to another page",
    "jobs-moved": "it leads to another page",
    "cluster-tasks-moved": "it leads to another page",
    "cluster-jobs-moved": "it leads to another page",
    "cluster-log": "it leads back to the cluster's page",
    "collection-detail": "one collection, which the cluster itself tells; here it has none",
    "collection-rows": "it leads back to the collection's page",
    "collection-load": "one collection, which the cluster itself tells; here it has none",
    "collection-release": "one collection, which the cluster itself tells; here it has none",
}
# Page → what it shows, which does not grow.
LISTS_NOTHING = {
    "membership-create": "an empty form",
    "membership-role": "one member",
    "membership-invite": "one member",
    "membership-remove": "one member",
    "api-key-create": "an empty form",
    "api-key-revoke": "one key",
    "organization-settings": "one organization",
    "organization-create": "an empty form",
    "cluster-create": "an empty form",
    "cluster-attach": "an empty form",
    "cluster-connection": "one cluster",
    "cluster-token-rotate": "one cluster",
    "cluster-edit": "one cluster",
    "cluster-scale": "one cluster",
    "cluster-upgrade": "one cluster",
    "cluster-restart": "one cluster",
    "cluster-stop": "one cluster",
    "cluster-go-back": "one cluster",
    "cluster-start": "one cluster",
    "database-create": "an empty form",
    "database-drop": "one database",
    "rollout-cancel": "one rollout in a sentence of bounded length",
    "task-cancel": "one task",
    "task-retry": "one task",
    "job-cancel": "one job",
    "job-retry": "one job",
    "backup-verify": "one backup",
    "backup-pin": "one backup",
    "backup-unpin": "one backup",
    "backup-release": "one backup",
    "backup-take": "what the cluster itself says that it has",
    "policy-create": "what the cluster itself says that it has",
    "policy-create-preview": "instants of one schedule",
    "policy-run": "one policy",
    "policy-pause": "one policy",
    "policy-resume": "one policy",
}

ASKED = {
    "search": "?q=of-policy",
    "policy-preview": "?schedule_cron=%40daily&timezone=UTC&retention_count=1",
}


def is_page(route: Route) -> bool:
    view = getattr(route.callback, "view_class", None)
    scopes = getattr(view, "scopes", None)
    methods = scopes or [name.upper() for name in getattr(view, "http_method_names", ["get"])]
    answers_get = "GET" in methods and (view is None or hasattr(view, "get"))
    return route.interface in ("ORGANIZATION", "PERSON") and answers_get


PAGES = {route.name: route for route in all_routes() if is_page(route)}
MEASURED = sorted(set(PAGES) - set(NOT_MEASURED))


@dataclasses.dataclass(frozen=True)
class Cost:
    queries: int
    length: int


@pytest.fixture
def tenant(transactional_db: None, organization: Organization, alice: User) -> Tenant:
    return make_tenant(organization, alice)


def cost(browser: Browser, address: str) -> Cost:
    """Queries of the second request, as a whole page or as the fragment for htmx."""
    headers = HTMX if browser.client.get(address).status_code == 302 else {}
    with CaptureQueriesContext(connection) as captured:
        answer = browser.client.get(address, headers=headers)
    assert answer.status_code == 200
    return Cost(len(captured), len(answer.content))


def test_every_page_costs_the_same_with_many_as_with_few_of_what_it_lists(
    alices: Browser, tenant: Tenant
) -> None:
    values = values_of(tenant)
    addresses = {name: PAGES[name].address(values) + ASKED.get(name, "") for name in MEASURED}
    Crowd(tenant, FEW, "few").come()
    few = {name: cost(alices, address) for name, address in addresses.items()}
    Crowd(tenant, MANY, "many").come()
    many = {name: cost(alices, address) for name, address in addresses.items()}
    costlier = [each for each in MEASURED if not many[each].queries == few[each].queries <= MOST]
    assert {name: (few[name], many[name]) for name in costlier} == {}
    growing = {name for name in MEASURED if many[name].length > few[name].length}
    assert set(MEASURED) - growing <= set(LISTS_NOTHING)


@pytest.mark.parametrize("sort", ["state", "-requested_by"])
def test_another_order_costs_the_same(alices: Browser, tenant: Tenant, sort: str) -> None:
    Crowd(tenant, MANY, "many").come()
    address = f"{alices.address('operation-list')}?q=task-"
    assert cost(alices, f"{address}&sort={sort}").queries == cost(alices, address).queries


def test_a_text_costs_a_look_at_the_length_of_the_list(alices: Browser, tenant: Tenant) -> None:
    Crowd(tenant, MANY, "many").come()
    address = alices.address("operation-list")
    searched = cost(alices, f"{address}?q=task-")
    assert searched.queries == cost(alices, address).queries + 1


def test_the_list_of_organizations_costs_the_same_with_many(
    alices: Browser, alice: User, organization: Organization
) -> None:
    few = cost(alices, "/organizations")
    others = Organization.objects.bulk_create(Organization(name=f"o{n}") for n in range(MANY))
    Membership.objects.bulk_create(
        Membership(organization=other, user=alice, role=Role.OWNER) for other in others
    )
    many = cost(alices, "/organizations")
    assert (many.queries, many.length > few.length) == (few.queries, True)


def test_no_exception_outlives_its_page() -> None:
    assert set(NOT_MEASURED) | set(LISTS_NOTHING) <= set(PAGES)
