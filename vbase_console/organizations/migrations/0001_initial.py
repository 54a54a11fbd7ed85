"""Initial tables. Database triggers reject updates and deletes of audit entries.

On SQLite a later change of the table rebuilds it and drops the triggers. Such a migration must create
them again; tests/organizations/test_audit.py fails until it does. The triggers protect against the
console's own code and against mistakes in a database shell. They do not protect against PostgreSQL's
TRUNCATE, nor against the owner of the tables, who can drop or disable them, as tests do.
"""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models
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
    """Return the statements that drop and create the delete trigger, for tests that empty tables."""
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

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(choices=[('viewer', 'Viewer: read-only, no connection details'), ('operator', 'Operator: all operations except deletion'), ('admin', 'Admin: all operations on clusters and backups'), ('owner', 'Owner: Admin plus members and API keys')], max_length=16)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'member',
                'ordering': ['user__email', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='Organization',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=63, unique=True, validators=[django.core.validators.RegexValidator('^[a-z0-9][a-z0-9-]{0,62}\\Z', 'Use 1 to 63 lower-case letters, digits and dashes, a letter or digit first.')])),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('members', models.ManyToManyField(related_name='organizations', through='organizations.Membership', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.AddField(
            model_name='membership',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='organizations.organization'),
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('principal', models.CharField(max_length=254)),
                ('action', models.CharField(max_length=64)),
                ('object_id', models.CharField(blank=True, max_length=200)),
                ('source', models.GenericIPAddressField(null=True)),
                ('interface', models.CharField(max_length=8)),
                ('outcome', models.CharField(choices=[('ACCEPTED', 'Accepted'), ('REFUSED', 'Refused'), ('FAILED', 'Failed')], max_length=16)),
                ('detail', models.CharField(blank=True, max_length=500)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'ordering': ['-at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.CharField(editable=False, max_length=150, primary_key=True, serialize=False, unique=True)),
                ('prefix', models.CharField(editable=False, max_length=8, unique=True)),
                ('hashed_key', models.CharField(editable=False, max_length=150)),
                ('created', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('name', models.CharField(default=None, help_text='A free-form name for the API key. Need not be unique. 50 characters max.', max_length=50)),
                ('revoked', models.BooleanField(blank=True, default=False, help_text='If the API key is revoked, clients cannot use it anymore. (This cannot be undone.)')),
                ('expiry_date', models.DateTimeField(blank=True, help_text='Once API key expires, clients cannot use it anymore.', null=True, verbose_name='Expires')),
                ('scopes', models.JSONField(default=list)),
                ('created_by', models.CharField(blank=True, max_length=254)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_keys', to='organizations.organization')),
            ],
            options={
                'verbose_name': 'API key',
                'verbose_name_plural': 'API keys',
                'ordering': ('-created',),
                'abstract': False,
            },
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.UniqueConstraint(fields=('organization', 'user'), name='membership_organization_user_unique'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.CheckConstraint(condition=models.Q(('role__in', ['viewer', 'operator', 'admin', 'owner'])), name='membership_role_check'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['organization', '-at', '-id'], name='audit_newest_first'),
        ),
        migrations.RunPython(make, drop),
    ]
