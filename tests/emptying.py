"""Empty the database after a test that commits.

After emptying the tables Django creates the content types and permissions of all models again,
which takes longer than most tests. They belong to the models and to no test, so they are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from django.core.management.commands import flush
from django.db import connection
from django.test import TransactionTestCase

STAYING = {"django_content_type", "auth_permission"}


@contextmanager
def emptied_quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", _statements)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *a, **k: None)
        # The command looks for a module of each app each time.
        patch.setattr(flush, "import_module", lambda *a, **k: None)
        # A new connection costs PostgreSQL a process that reads the catalog.
        patch.setattr(TransactionTestCase, "_should_reload_connections", lambda case: False)
        yield


def _statements(style: Any, connection: Any, **options: Any) -> list[str]:
    """Most tables are empty after most tests, and asking that once is cheaper than emptying all."""
    filled = _filled(connection)
    if not filled:
        return []
    if connection.vendor == "postgresql":
        # Without triggers: neither the guard of the audit nor foreign keys ask about a row. Only a
        # superuser may do so, which is what the server of the tests has. Sequences go on.
        return [
            "SET LOCAL session_replication_role = replica;",
            *(f"DELETE FROM {connection.ops.quote_name(table)};" for table in filled),  # noqa: S608
        ]
    append_only = import_module("vbase_console.organizations.migrations.0001_initial")
    drop, make = append_only.sqlite_deletion_guard()
    return [drop, *connection.ops.sql_flush(style, filled, **options), make]


def _filled(connection: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_question())
        return [table for (table,) in cursor]


@cache
def _question() -> str:
    """Statement that finds the tables with rows. The tables do not change."""
    tables = set(connection.introspection.django_table_names(include_views=False)) - STAYING
    return " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})"  # noqa: S608
        for table in sorted(tables)
    )
