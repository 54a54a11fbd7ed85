from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from vbase_console.core.errors import ConsoleError
from vbase_console.management.demo.moments import Size
from vbase_console.management.demo.organization import remove, seed
from vbase_console.management.preparation import preparation_hint, require_database
from vbase_console.organizations.models import Membership, Organization
from vbase_console.organizations.scopes import Role


class Command(BaseCommand):
    help = (
        "Create an organization with sample data, to try pages and to measure them. It cannot be "
        "changed, and no sweep touches it. Prints only its id on standard output. An existing one "
        "is deleted first."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, help="name of the organization")
        parser.add_argument("--clusters", type=_number, default=10)
        parser.add_argument("--backups", type=_number, default=100)
        parser.add_argument("--tasks", type=_number, default=100, help="tasks of clusters")
        parser.add_argument(
            "--remove", action="store_true", help="delete the organization and its sample data"
        )
        parser.add_argument("--yes", action="store_true", help="required on many machines")

    def handle(self, *arguments: Any, **options: Any) -> None:
        require_database()
        if settings.DEMO_NEEDS_CONFIRMATION and not options["yes"]:
            raise CommandError("This database is shared by many machines. Confirm with --yes.")
        try:
            existing = _existing_demo(options["organization"])
            if options["remove"]:
                self._remove(existing, options["organization"])
            else:
                self._seed(existing, options)
        except ConsoleError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(preparation_hint(error)) from error

    def _remove(self, existing: Organization | None, name: str) -> None:
        if existing is None:
            raise CommandError(f"Organization '{name}' not found.")
        remove(existing)
        self.stderr.write(f"Sample data of {name} deleted.")

    def _seed(self, existing: Organization | None, options: dict[str, Any]) -> None:
        size = Size(**{name: options[name] for name in ("clusters", "backups", "tasks")})
        if not size.clusters and (size.backups or size.tasks):
            raise CommandError("Backups and tasks need at least one cluster.")
        owner, began = _first_owner(), time.monotonic()
        organization = seed(options["organization"], owner, size, replaces=existing)
        self.stderr.write(
            f"{size.clusters:,} clusters, {size.backups:,} backups and {size.tasks:,} tasks "
            f"written in {time.monotonic() - began:.0f} s. {owner} is the owner."
        )
        self.stdout.write(str(organization.pk))


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _existing_demo(name: str) -> Organization | None:
    """Return the demo organization of this name. Raises CommandError for a real organization."""
    organization = Organization.objects.filter(name=name).first()
    if organization is not None and not organization.is_demo:
        raise CommandError(
            f"Organization '{name}' exists and is no sample. Choose another name; nothing was "
            "changed."
        )
    return organization


def _first_owner() -> User:
    owners = Membership.objects.filter(role=Role.OWNER).select_related("user").order_by("pk")
    owner = owners.first()
    if owner is None:
        raise CommandError(
            "No organization has an owner yet. Run `manage.py prepare` or "
            "`manage.py create_organization` first."
        )
    return owner.user
