"""What the commands share."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from vbase_console.organizations.audit import record_command
from vbase_console.organizations.models import Organization
from vbase_console.organizations.services import create_organization


def preparation_hint(error: DatabaseError) -> str:
    return (
        f"The database does not answer as it should ({error}). If it is new, prepare it first: "
        "`make run`, or `manage.py prepare`."
    )


@transaction.atomic
def created(name: str, owner: User) -> Organization:
    """An organization, and the row that says who owns it from the first moment on."""
    organization: Organization = create_organization(name=name, owner=owner)
    said = f"owner: {owner.get_username()}"
    record_command(organization.pk, action="CreateOrganization", object_id=name, detail=said)
    return organization
