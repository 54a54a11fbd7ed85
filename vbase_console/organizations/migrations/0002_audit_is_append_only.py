"""The database itself refuses to change or remove a row of the audit.

On SQLite a later change of the table rebuilds it and loses the triggers: such a migration makes them
anew (tests/organizations/test_audit.py is red until it does). PostgreSQL's TRUNCATE passes; so
does whoever owns the tables and drops the triggers or goes without them, as tests do between two: this guards
against the console's own code and against a hand at a database shell, not against the machine's
owner.
"""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLE = "organizations_auditentry"
TRIGGERS = {"UPDATE": "audit_entry_is_never_changed", "DELETE": "audit_entry_is_never_removed"}
REFUSAL = "Audit entries are added, never changed or removed."

SQLITE_MAKE = """
CREATE TRIGGER {name} BEFORE {event} ON {table}
BEGIN SELECT RAISE(ABORT, '{refusal}'); END
"""
POSTGRESQL_FUNCTION = f"""
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
POSTGRESQL_MAKE = """
CREATE TRIGGER {name} BEFORE {event} ON {table}
FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()
"""


def make(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    statement = SQLITE_MAKE
    if editor.connection.vendor == "postgresql":
        editor.execute(POSTGRESQL_FUNCTION)
        statement = POSTGRESQL_MAKE
    for event, name in TRIGGERS.items():
        editor.execute(statement.format(name=name, event=event, table=TABLE, refusal=REFUSAL))


def sqlite_deletion_guard() -> tuple[str, str]:
    """How the guard against deletion is lifted and put back where test tables are emptied."""
    name = TRIGGERS["DELETE"]
    make = SQLITE_MAKE.format(name=name, event="DELETE", table=TABLE, refusal=REFUSAL)
    return f"DROP TRIGGER {name}", make


def drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    postgresql = editor.connection.vendor == "postgresql"
    for name in TRIGGERS.values():
        editor.execute(f"DROP TRIGGER {name}" + (f" ON {TABLE}" if postgresql else ""))
    if postgresql:
        editor.execute("DROP FUNCTION audit_is_append_only()")


class Migration(migrations.Migration):
    dependencies = [("organizations", "0001_initial")]
    operations = [migrations.RunPython(make, drop)]
