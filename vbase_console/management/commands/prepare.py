from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, transaction

from clusters.models import Cluster
from clusters.states import TaskKind
from clusters.sweeps import sweep_clusters
from vbase_console.core.errors import ConsoleError
from vbase_console.core.planner_statistics import update_planner_statistics
from vbase_console.core.static_files import collect_static_files
from vbase_console.management.preparation import (
    created,
    require_known_migrations,
    wait_for_other_preparations,
)
from vbase_console.organizations.models import Membership, Organization
from vbase_console.organizations.scopes import Role
from vbase_console.organizations.services import get_or_create_user
from vbase_console.settings.env import env_email, env_secret
from vbase_console.supervisor.ready_message import manage
from vbase_console.tasks.models import Task

FIRST_ORGANIZATION = "demo"
FirstOwner = tuple[str, str | None]
"""E-mail address, and the password if one is configured."""


class Command(BaseCommand):
    help = (
        "Prepare the database and the static files: migrate, and on the first start create the "
        f"organization '{FIRST_ORGANIZATION}' with its owner. Safe to run again at any time."
    )
    requires_system_checks = ()

    def handle(self, *arguments: Any, **options: Any) -> None:
        try:
            wait_for_other_preparations()
            require_known_migrations()
            # Errors in the owner's settings are reported before anything is created. The password
            # is read once, because it may come from a pipe.
            owner = configured_owner() if is_first_start() else None
            write_ahead()
            migrate()
            update_planner_statistics()
            collect_static_files()
            # Clusters may have stopped with the machine. The first page shows their current status.
            sweep_clusters()
            starting = Task.objects.active().filter(kind=TaskKind.START).count()
            if starting:
                self.stdout.write(f"Clusters that start again: {starting}.")
            self.stdout.write(first_owner(owner))
            if not Cluster.objects.exists():
                self.stdout.write("Next: sign in and create your first cluster.")
        except (OperationalError, ConsoleError) as error:
            raise CommandError(f"The database cannot be prepared: {error}") from error


def is_first_start() -> bool:
    has_table = Organization._meta.db_table in connection.introspection.table_names()
    return not (has_table and Organization.objects.exists())


def write_ahead() -> None:
    """Set SQLite's journal mode, which the file keeps. Only this command sets it, because processes
    that switch it concurrently lock each other out.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")


def migrate() -> None:
    with all_or_none() if is_first_start() else nullcontext():
        call_command("migrate", interactive=False, verbosity=0)


@contextmanager
def all_or_none() -> Iterator[None]:
    """Create the tables in one transaction. Django records a migration after its tables, so that an
    interruption between the two would leave a database that no later start can migrate.
    """
    with connection.constraint_checks_disabled(), transaction.atomic():
        yield


@transaction.atomic
def first_owner(configured: FirstOwner | None) -> str:
    """Create the first organization if there is none. Returns instructions for signing in."""
    if configured is None or Organization.objects.exists():
        return _known_owner()
    email, chosen = configured
    password = chosen or secrets.token_urlsafe(12)
    created(FIRST_ORGANIZATION, get_or_create_user(email=email, password=password))
    if chosen:
        return f"Sign in as {email} with the password that you configured."
    return (
        f"Sign in as {email} with the password {password}\n"
        "The password is shown only once. Set another one with:\n"
        f"    {manage(f'changepassword {email}')}"
    )


def configured_owner() -> FirstOwner:
    email = env_email("VBASE_OWNER_EMAIL", "owner@example.com")
    return email, env_secret("VBASE_OWNER_PASSWORD")


def _known_owner() -> str:
    owners = Membership.objects.filter(role=Role.OWNER).select_related("user").order_by("pk")
    owner = owners.first()
    if owner is None:
        return "No organization has an owner. Create one with `manage.py create_organization`."
    email = owner.user.get_username()
    command = manage(f"changepassword {email}")
    return f"Sign in as {email}. Set a new password with:\n    {command}"
