from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, transaction

from vbase_console.core.errors import ConsoleError
from vbase_console.management.preparation import preparation_hint, require_database
from vbase_console.organizations.audit import COMMAND, record_command
from vbase_console.organizations.models import Organization
from vbase_console.organizations.scopes import ALL_SCOPES
from vbase_console.organizations.services import issue_api_key


class Command(BaseCommand):
    help = "Issue an API key. Prints only the key on standard output; it cannot be shown again."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--organization", required=True, help="name of the organization, for example demo"
        )
        parser.add_argument("--name", required=True, help="purpose of the key, for example ci")
        parser.add_argument(
            "--scopes",
            default="all",
            help=f"all (the default), or names separated by commas: {', '.join(ALL_SCOPES)}",
        )

    def handle(self, *arguments: Any, **options: Any) -> None:
        require_database()
        scopes = list(ALL_SCOPES)
        if options["scopes"] != "all":
            scopes = [part.strip() for part in options["scopes"].split(",") if part.strip()]
        try:
            organization = find_organization(options["organization"])
            with transaction.atomic():
                key, text = issue_api_key(
                    organization, name=options["name"], scopes=scopes, created_by=COMMAND
                )
                record_command(
                    organization.pk,
                    action="IssueApiKey",
                    object_id=key.prefix,
                    detail="scopes: " + ", ".join(key.scopes),
                )
        except ConsoleError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(preparation_hint(error)) from error
        self.stdout.write(text)


def find_organization(name: str) -> Organization:
    organization = Organization.objects.filter(name=name).first()
    if organization is None:
        names = ", ".join(Organization.objects.values_list("name", flat=True)[:20]) or "none yet"
        raise CommandError(f"Organization '{name}' not found. Existing organizations: {names}.")
    return organization
