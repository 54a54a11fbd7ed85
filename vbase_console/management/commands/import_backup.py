from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from backups.stores import load_archive_store
from backups.stores.base import StoreError
from vbase_console.core.errors import ConsoleError
from vbase_console.management.commands.issue_api_key import find_organization
from vbase_console.management.preparation import preparation_hint, require_database


class Command(BaseCommand):
    help = (
        "Copy an archive that another console wrote into the backup store, and register it. Prints "
        "only the id of the new backup on standard output. Nothing at LOCATION changes."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "location",
            metavar="LOCATION",
            help="the directory that contains manifest.json, or its s3:// URL",
        )
        parser.add_argument("--organization", required=True, help="name of the organization")
        parser.add_argument(
            "--name", default="", help="name of the backup (default: imported-<original id>)"
        )
        parser.add_argument(
            "--unconfined",
            action="store_true",
            help="read the archive although this machine cannot confine its reader",
        )

    def handle(self, *arguments: Any, **options: Any) -> None:
        require_database()
        organization = find_organization(options["organization"])
        from backups.archive.fetching import ReaderBroken
        from backups.archive.foreign import ImportRefused
        from backups.services.imports import import_archive

        try:
            backup = import_archive(
                load_archive_store(options["location"]),
                organization,
                location=options["location"],
                name=options["name"],
                unconfined=options["unconfined"],
            )
        except (ConsoleError, ImportRefused, ReaderBroken, StoreError, ValueError) as error:
            raise CommandError(f"Nothing was imported. {error}") from error
        except DatabaseError as error:
            raise CommandError(preparation_hint(error)) from error
        self.stderr.write(
            f"{backup.name} from service {backup.cluster.service_id}. "
            f"Collections: {len(backup.collections)}. Rows: {backup.row_count}."
        )
        self.stdout.write(backup.backup_id)
