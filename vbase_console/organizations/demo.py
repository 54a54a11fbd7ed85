"""Refusal of changes to the sample data of `manage.py seed_demo`."""

from __future__ import annotations

import uuid

from vbase_console.core.errors import FailedPrecondition
from vbase_console.organizations.models import Organization

READ_ONLY = (
    "This organization contains sample data, which cannot be changed. Use another organization."
)


def refuse_demo(organization: Organization) -> None:
    if organization.is_demo:
        raise FailedPrecondition(READ_ONLY)


def refuse_demo_of(organization_id: uuid.UUID) -> None:
    refuse_demo(Organization.objects.only("is_demo").get(pk=organization_id))
