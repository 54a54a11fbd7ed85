"""What the commands share."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction

from vbase_console.organizations.audit import record_command
from vbase_console.organizations.models import Organization
from vbase_console.organizations.services import create_organization

FIRST = "If it is new, prepare it first: `make run`, or `manage.py prepare`."


def require_database() -> None:
    """Asked before anything else: SQLite makes a file of whatever is opened."""
    name = Path(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and not name.exists():
        raise CommandError(f"There is no database {name}. {_where()} {FIRST}")


def preparation_hint(error: DatabaseError) -> str:
    return f"The database does not answer as it should ({error}). {_where()} {FIRST}"


def _where() -> str:
    return f"The data directory is {settings.DATA_DIR}; VBASE_DATA_DIR names another."


@transaction.atomic
def created(name: str, owner: User) -> Organization:
    """An organization, and the row that says who owns it from the first moment on."""
    organization: Organization = create_organization(name=name, owner=owner)
    said = f"owner: {owner.get_username()}"
    record_command(organization.pk, action="CreateOrganization", object_id=name, detail=said)
    return organization
