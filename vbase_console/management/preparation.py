"""What the commands share."""

from __future__ import annotations

from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from vbase_console.organizations.audit import record_command
from vbase_console.organizations.models import Organization
from vbase_console.organizations.services import create_organization

OWN_APPS = ("vbase_console", "clusters", "backups")
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


def require_known_migrations() -> None:
    """Refuse a database that an earlier version created, before anything is written to it."""
    loader = MigrationLoader(connection)
    own = {config.label for config in apps.get_app_configs() if config.name.startswith(OWN_APPS)}
    applied = {key for key in loader.applied_migrations if key[0] in own}
    if applied - loader.disk_migrations.keys():
        where = settings.DATA_DIR if connection.vendor == "sqlite" else "VBASE_DATABASE_URL"
        raise CommandError(
            f"An earlier version of the console created the database in {where}, and this version "
            "cannot migrate it, so nothing was changed: go on with that version, or give this one "
            "another VBASE_DATA_DIR or VBASE_DATABASE_URL."
        )
