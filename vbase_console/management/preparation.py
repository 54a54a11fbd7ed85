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
PREPARATION_LOCK = 7_230_001
"""Number of the lock in PostgreSQL, which other programs of the same database must not use."""
FIRST = "Prepare a new database with `make run` or `manage.py prepare`."


def require_database() -> None:
    """Raise CommandError if the database file is missing, because SQLite would create it."""
    name = Path(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and not name.exists():
        raise CommandError(f"The database {name} does not exist. {_where()} {FIRST}")


def preparation_hint(error: DatabaseError) -> str:
    return f"The database returned an error: {error}. {_where()} {FIRST}"


def _where() -> str:
    return f"The data directory is {settings.DATA_DIR}; VBASE_DATA_DIR chooses another one."


@transaction.atomic
def created(name: str, owner: User) -> Organization:
    """Create an organization and the audit row that names its first owner."""
    organization: Organization = create_organization(name=name, owner=owner)
    detail = f"owner: {owner.get_username()}"
    record_command(organization.pk, action="CreateOrganization", object_id=name, detail=detail)
    return organization


def require_known_migrations() -> None:
    """Raise CommandError for a database of an earlier version, before it is changed."""
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


def wait_for_other_preparations() -> None:
    """Prepare after the other machines that prepare the same database. PostgreSQL releases the lock
    when this process ends. A SQLite file has one console.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [PREPARATION_LOCK])
