from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import DatabaseError, transaction

from vbase_console.core.errors import ConsoleError
from vbase_console.management.preparation import created, preparation_hint, require_database
from vbase_console.organizations.services import get_or_create_user
from vbase_console.supervisor.ready_message import manage


class Command(BaseCommand):
    help = "Create an organization with its first owner. Prints only its id on standard output."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument(
            "--owner", required=True, help="e-mail address; an unknown user is created"
        )

    def handle(self, *arguments: Any, **options: Any) -> None:
        require_database()
        try:
            validate_email(options["owner"])
        except ValidationError as error:
            raise CommandError(
                f"--owner is '{options['owner']}'. It must be an e-mail address."
            ) from error
        email = options["owner"].strip().lower()
        try:
            with transaction.atomic():
                owner = get_or_create_user(email=email)
                organization = created(options["name"], owner)
        except ConsoleError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(preparation_hint(error)) from error
        if not owner.has_usable_password():
            command = manage(f"changepassword {email}")
            self.stderr.write(f"{email} cannot sign in yet. Set a password with:\n    {command}")
        self.stdout.write(str(organization.pk))
