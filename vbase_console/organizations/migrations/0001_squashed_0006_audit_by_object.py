"""The tables of a new database at once. A database with rows goes through the migrations that this one
replaces, which also change the rows.
"""

import django.core.validators
import django.db.models.deletion
import uuid
from importlib import import_module

from django.conf import settings
from django.db import migrations, models

append_only = import_module('vbase_console.organizations.migrations.0001_initial')


class Migration(migrations.Migration):

    replaces = [
        ('organizations', '0001_initial'),
        ('organizations', '0002_sample_data'),
        ('organizations', '0003_timezone'),
        ('organizations', '0004_versions'),
        ('organizations', '0005_differences'),
        ('organizations', '0006_audit_by_object'),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Organization',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=63, unique=True, validators=[django.core.validators.RegexValidator('^[a-z0-9][a-z0-9-]{0,62}\\Z', 'Use 1 to 63 lower-case letters, digits and dashes, a letter or digit first.')])),
                ('timezone', models.CharField(default='UTC', max_length=64)),
                ('is_demo', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
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
            name='OrganizationVersion',
            fields=[
                ('organization', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='version', serialize=False, to='organizations.organization')),
                ('number', models.PositiveBigIntegerField(default=0)),
                ('changed_at', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='organization',
            name='members',
            field=models.ManyToManyField(related_name='organizations', through='organizations.Membership', to=settings.AUTH_USER_MODEL),
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
                ('changes', models.JSONField(null=True)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'ordering': ['-at', '-pk'],
                'indexes': [models.Index(fields=['organization', '-at', '-id'], name='audit_newest_first'), models.Index(fields=['object_id', '-at', '-id'], name='audit_by_object')],
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
        migrations.RunPython(append_only.make, append_only.drop),
    ]
