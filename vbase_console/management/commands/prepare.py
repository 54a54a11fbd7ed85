"""Bring the database and the static files to where this version of the console needs them."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, transaction

from clusters.models import Cluster
from clusters.sweeps import sweep_clusters
from vbase_console.core.errors import ConsoleError
from vbase_console.core.static_files import collect_static_files
from vbase_console.management.preparation import created, require_known_migrations
from vbase_console.organizations.models import Membership, Organization
from vbase_console.organizations.scopes import Role
from vbase_console.organizations.services import person
from vbase_console.settings.env import env_email, env_secret
from vbase_console.supervisor.ready_message import manage

FIRST_ORGANIZATION = "demo"
WantedOwner = tuple[str, str | None]
"""E-mail, and the password where one is given."""


class Command(BaseCommand):
    help = (
        "Prepare the database and the static files: migrate, and on the first start make the "
        f"organization '{FIRST_ORGANIZATION}' with its owner. It can be run again at any time."
    )
    requires_system_checks = ()

    def handle(self, *arguments: Any, **options: Any) -> None:
        try:
            self._prepare()
        except (OperationalError, ConsoleError) as error:
            raise CommandError(f"The database cannot be prepared: {error}") from error

    def _prepare(self) -> None:
        require_known_migrations()
        # What is wrong with the first owner is said before anything is made; a secret may come
        # from a pipe, which can be read only once.
        owner = wanted_owner() if is_first_start() else None
        write_ahead()
        call_command("migrate", interactive=False, verbosity=0)
        collect_static_files()
        # Clusters may have stopped with the machine: what the first visitor reads is true already.
        sweep_clusters()
        self.stdout.write(first_owner(owner))
        if not Cluster.objects.exists():
            self.stdout.write("Next: create your first cluster on the page.")


def is_first_start() -> bool:
    made = Organization._meta.db_table in connection.introspection.table_names()
    return not (made and Organization.objects.exists())


def write_ahead() -> None:
    """SQLite remembers its journal mode; several processes that switch it at once lock each other
    out, so it is done here and nowhere else.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")


@transaction.atomic
def first_owner(wanted: WantedOwner | None) -> str:
    """How to sign in, in words; makes the first organization where there is none."""
    if wanted is None or Organization.objects.exists():
        return _known_owner()
    email, given = wanted
    password = given or secrets.token_urlsafe(12)
    created(FIRST_ORGANIZATION, person(email=email, password=password))
    if given:
        return f"Sign in as {email} with the password that you gave."
    return (
        f"Sign in as {email} with the password {password}\n"
        "It is shown only now; this sets another one:\n"
        f"    {manage(f'changepassword {email}')}"
    )


def wanted_owner() -> WantedOwner:
    email = env_email("VBASE_OWNER_EMAIL", "owner@example.com")
    return email, env_secret("VBASE_OWNER_PASSWORD")


def _known_owner() -> str:
    owners = Membership.objects.filter(role=Role.OWNER).select_related("user").order_by("pk")
    owner = owners.first()
    if owner is None:
        return "Nobody owns an organization; `manage.py create_organization` makes one."
    email = owner.user.get_username()
    how = manage(f"changepassword {email}")
    return f"Sign in as {email}. This sets a new password:\n    {how}"
