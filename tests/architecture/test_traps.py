"""Each trap that the database was measured to have stays closed."""

from __future__ import annotations

import re
import uuid
from concurrent import futures
from pathlib import Path

import pytest
from django.db import connection, transaction

from vbase_console.organizations.models import AuditEntry, Organization
from vbase_console.settings.connections import database_settings

PROJECT = Path(__file__).resolve().parents[2]
WRITERS = 8
ROUNDS = 25
MORE_THAN_SQLITE_TAKES = 1_100
"""A prefetch of a forward key becomes an expression too deep for SQLite beyond 998 rows."""


def modules_that_say(pattern: str) -> set[str]:
    tops = ("vbase_console", "clusters", "backups")
    paths = [path for top in tops for path in (PROJECT / top).rglob("*.py")]
    return {path.name for path in paths if re.search(pattern, path.read_text())}


def test_transactions_on_sqlite_begin_immediate() -> None:
    options = database_settings("sqlite:////tmp/x")["OPTIONS"]
    assert (options["transaction_mode"], options["timeout"]) == ("IMMEDIATE", 20)


@pytest.mark.django_db(transaction=True)
def test_many_writers_that_read_first_all_get_their_turn() -> None:
    """With deferred transactions most of them fail at once: database is locked."""
    organization = Organization.objects.create(name="counted")
    with futures.ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(_read_then_write, [organization.pk] * WRITERS))
    assert AuditEntry.objects.filter(organization=organization).count() == WRITERS * ROUNDS


def _read_then_write(organization: uuid.UUID) -> None:
    for _ in range(ROUNDS):
        with transaction.atomic():
            seen = AuditEntry.objects.filter(organization_id=organization).count()
            _note(organization, f"after {seen}").save()
    connection.close()


def _note(organization: uuid.UUID, action: str) -> AuditEntry:
    return AuditEntry(
        organization_id=organization, principal="test", action=action, outcome="ACCEPTED"
    )


def test_only_the_preparation_switches_the_journal_mode() -> None:
    assert modules_that_say("journal_mode") == {"prepare.py"}


def test_only_the_lists_of_the_admin_prefetch_which_have_fifty_rows() -> None:
    assert modules_that_say(r"prefetch_related\(") == {"admin.py"}


@pytest.mark.django_db
def test_a_forward_key_is_read_for_more_than_a_thousand_rows() -> None:
    organizations = Organization.objects.bulk_create(
        Organization(name=f"organization-{number}") for number in range(MORE_THAN_SQLITE_TAKES)
    )
    AuditEntry.objects.bulk_create(_note(each.pk, "read") for each in organizations)
    rows = AuditEntry.objects.select_related("organization")
    assert len({row.organization.name for row in rows}) == MORE_THAN_SQLITE_TAKES
