"""Visits: support staff read the pages of one organization for an hour. See docs/support.md."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from vbase_console.core.errors import NotFound
from vbase_console.organizations.models import Organization, Outcome
from vbase_console.organizations.scopes import READING
from vbase_console.organizations.support import record_support, support_label
from vbase_console.organizations.tenancy import Principal, Version, is_storable

DURATION = timedelta(hours=1)
PERMISSION = "organizations.view_organization"
SESSION_KEY = "visit"


def may_visit(user: User | AnonymousUser) -> bool:
    return user.is_active and user.is_staff and user.has_perm(PERMISSION)


@transaction.atomic
def begin_visit(request: HttpRequest, organization: Organization, *, reason: str) -> None:
    """Begin a visit in the session. The organization's activity shows the reason."""
    end_visit(request)
    request.session[SESSION_KEY] = {
        "organization": str(organization.pk),
        "until": (timezone.now() + DURATION).isoformat(),
    }
    record_support(
        request,
        organization.pk,
        action="VisitOrganization",
        object_id=organization.name,
        outcome=Outcome.ACCEPTED,
        detail=reason,
    )


@transaction.atomic
def end_visit(request: HttpRequest) -> None:
    """End the visit of the session, if it has one. The organization's activity shows the end."""
    visit = request.session.pop(SESSION_KEY, None)
    if not visit or _has_expired(visit):
        return
    organization = Organization.objects.filter(pk=visit["organization"]).first()
    if organization is not None:
        record_support(
            request,
            organization.pk,
            action="LeaveOrganization",
            object_id=organization.name,
            outcome=Outcome.ACCEPTED,
        )


def principal_of_visit(request: HttpRequest, organization_name: str) -> Principal:
    """Raises NotFound unless the session has a visit of this organization that has not ended."""
    visit = request.session.get(SESSION_KEY)
    if not visit or not may_visit(request.user) or not is_storable(organization_name):
        raise NotFound("Organization not found.")
    organization = Organization.objects.filter(pk=visit["organization"]).first()
    if organization is None or organization.name != organization_name:
        raise NotFound("Organization not found.")
    if _has_expired(visit):
        raise NotFound("Your support visit has ended. Begin another one in the admin.")
    return Principal(
        organization_id=organization.pk,
        organization_name=organization.name,
        label=support_label(request),
        scopes=READING,
        is_demo=organization.is_demo,
        visit_until=datetime.fromisoformat(visit["until"]),
        version=Version(is_settled=False),
    )


def _has_expired(visit: dict[str, str]) -> bool:
    return timezone.now() >= datetime.fromisoformat(visit["until"])
