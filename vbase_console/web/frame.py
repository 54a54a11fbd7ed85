"""Frame of the pages of one organization: its principal and its navigation."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest
from django.urls import resolve, reverse

from vbase_console.core.errors import NotFound
from vbase_console.organizations.authentication import principal_of_member
from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import Principal
from vbase_console.organizations.visits import principal_of_visit

ORGANIZATION_PATH = re.compile(r"^/o/(?P<organization>[-a-zA-Z0-9_]+)(?:/|$)")
OVERVIEW = ("Overview", "overview")
SECTIONS = {
    "clusters": ("Clusters", "cluster-list"),
    "protection": ("Protection", "protection"),
    "backups": ("Backups", "backup-list"),
    "policies": ("Policies", "policy-list"),
    "operations": ("Operations", "operation-list"),
    "activity": ("Activity", "activity-list"),
    "members": ("Members", "membership-list"),
    "api-keys": ("API keys", "api-key-list"),
}
"""Navigation entry of a page → title and list above it."""


def principal_of_page(request: HttpRequest, organization: str) -> Principal:
    """Resolve the user of a page: a member, or support staff during a visit."""
    try:
        return principal_of_member(request.user, organization)
    except NotFound:
        return principal_of_visit(request, organization)


def principal_of_path(request: HttpRequest) -> Principal | None:
    """Resolve the user of an address below `/o/<organization>/`, also of one without a page.

    Returns None for an unknown organization and for one that the user may not see.
    """
    path = ORGANIZATION_PATH.match(request.path_info)
    if path is None or not hasattr(request, "user"):
        return None
    try:
        return principal_of_page(request, path["organization"])
    except NotFound:
        return None


def frame_of(request: HttpRequest, principal: Principal, nav: str) -> dict[str, Any]:
    """Return the context of `web/console.html`."""
    organizations = Organization.objects.filter(members=request.user)  # type: ignore[misc]
    return {
        "principal": principal,
        "organization": principal.organization_name,
        "organizations": [organization.name for organization in organizations],
        "nav": nav,
    }


def section_of(principal: Principal, nav: str) -> tuple[str, str]:
    """Return title and address of the list above the pages of a navigation entry. The overview
    replaces a list that the principal may not read.
    """
    title, page = SECTIONS.get(nav, OVERVIEW)
    address = reverse(page, args=[principal.organization_name])
    if (title, page) == OVERVIEW or principal.may(resolve(address).func.view_class.scopes["GET"]):  # type: ignore[attr-defined]
        return title, address
    return section_of(principal, "")
