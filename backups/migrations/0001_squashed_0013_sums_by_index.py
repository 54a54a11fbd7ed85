"""The tables of a new database at once. A database with rows goes through the migrations that this one
replaces, which also change the rows.
"""

import backups.models
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('backups', '0001_initial'),
        ('backups', '0002_given_times'),
        ('backups', '0003_access_control'),
        ('backups', '0004_imported_backups'),
        ('backups', '0005_flat_rows'),
        ('backups', '0006_downloads'),
        ('backups', '0007_storage_days'),
        ('backups', '0008_damaged_newest'),
        ('backups', '0009_history_of_clusters'),
        ('backups', '0010_damaged_backups'),
        ('backups', '0011_counts'),
        ('backups', '0012_store_scan'),
        ('backups', '0013_sums_by_index'),
    ]

    initial = True

    dependencies = [
        ('clusters', '0008_attached_once'),
        ('organizations', '0006_audit_by_object'),
        ('tasks', '0006_history_of_clusters'),
    ]

    operations = [
        migrations.CreateModel(
            name='JobCount',
            fields=[
                ('organization', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='organizations.organization')),
                ('up_to', models.BigIntegerField()),
                ('count', models.PositiveBigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='StoreScan',
            fields=[
                ('store', models.CharField(max_length=1024, primary_key=True, serialize=False)),
                ('after', models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name='Backup',
            fields=[
                ('backup_id', models.CharField(default=backups.models.new_backup_id, max_length=24, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=128, validators=[django.core.validators.RegexValidator('^(?!(?:policy|restore|org)\\Z)[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\\Z', 'Use 1 to 128 letters, digits, dots, underscores and dashes, a letter or digit first; not policy, restore, org.')])),
                ('db_name', models.CharField(max_length=255)),
                ('status', models.CharField(choices=[('CREATING', 'Creating'), ('AVAILABLE', 'Available'), ('DELETING', 'Deleting'), ('GONE', 'Gone')], default='CREATING', max_length=16)),
                ('policy_id', models.CharField(blank=True, max_length=24)),
                ('pinned', models.BooleanField(default=False)),
                ('retention_hold', models.BooleanField(null=True)),
                ('requested_collections', models.JSONField(default=list)),
                ('collections', models.JSONField(default=list)),
                ('row_count', models.PositiveBigIntegerField(null=True)),
                ('size_bytes', models.PositiveBigIntegerField(null=True)),
                ('milvus_version', models.CharField(blank=True, max_length=40)),
                ('has_access_control', models.BooleanField(default=False)),
                ('manifest_sha256', models.CharField(blank=True, max_length=64)),
                ('origin_backup_id', models.CharField(blank=True, max_length=64)),
                ('origin_organization_id', models.CharField(blank=True, max_length=64)),
                ('warnings', models.JSONField(default=list)),
                ('omissions', models.JSONField(default=list)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('verified_at', models.DateTimeField(null=True)),
                ('proven_at', models.DateTimeField(null=True)),
                ('damage_found_by', models.CharField(blank=True, max_length=40)),
                ('damage', models.JSONField(blank=True, default=list)),
                ('deleted_at', models.DateTimeField(null=True)),
                ('cluster', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='backups', to='clusters.cluster')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'ordering': ['-created_at', '-backup_id'],
                'indexes': [models.Index(condition=models.Q(('status', 'GONE'), _negated=True), fields=['organization', '-created_at', '-backup_id', 'status'], name='backup_newest_first'), models.Index(condition=models.Q(('status', 'GONE'), _negated=True), fields=['cluster', 'organization', '-created_at', '-backup_id', 'status'], name='backup_by_cluster'), models.Index(condition=models.Q(('damage_found_by', ''), ('status', 'AVAILABLE')), fields=['cluster', '-created_at', '-backup_id'], name='backup_good'), models.Index(condition=models.Q(('damage_found_by', ''), ('status', 'AVAILABLE'), ('proven_at__isnull', False)), fields=['cluster', '-created_at', '-backup_id'], name='backup_proven'), models.Index(condition=models.Q(('damage_found_by', ''), ('status', 'AVAILABLE'), ('proven_at__isnull', False)), fields=['cluster', '-proven_at'], name='backup_last_proven'), models.Index(condition=models.Q(('status', 'AVAILABLE')), fields=['cluster', 'organization', '-created_at', '-backup_id', 'status'], name='backup_available'), models.Index(condition=models.Q(('damage_found_by__gt', ''), ('status', 'AVAILABLE')), fields=['cluster', 'organization', 'damage_found_by', 'status'], name='backup_damaged_of_cluster'), models.Index(condition=models.Q(('damage_found_by__gt', ''), ('status', 'AVAILABLE')), fields=['organization', '-created_at', '-backup_id', 'damage_found_by', 'status'], name='backup_damaged_listed'), models.Index(condition=models.Q(('damage_found_by__gt', ''), ('status', 'AVAILABLE')), fields=['-created_at'], name='backup_damaged_newest'), models.Index(condition=models.Q(('status', 'AVAILABLE')), fields=['policy_id', '-created_at', '-backup_id', 'status'], name='backup_by_policy'), models.Index(fields=['-created_at', '-backup_id'], name='backup_newest_of_all'), models.Index(fields=['name'], name='backup_by_name'), models.Index(fields=['organization', 'name'], name='backup_by_prefix', opclasses=['uuid_ops', 'varchar_pattern_ops'])],
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'GONE'), _negated=True), fields=('organization', 'name'), name='backup_organization_name_unique'), models.CheckConstraint(condition=models.Q(('status__in', ['CREATING', 'AVAILABLE', 'DELETING', 'GONE'])), name='backup_status_check'), models.CheckConstraint(condition=models.Q(models.Q(('status', 'AVAILABLE'), _negated=True), models.Q(('manifest_sha256', ''), _negated=True), _connector='OR'), name='backup_available_manifest_check')],
            },
        ),
        migrations.CreateModel(
            name='BackupDownload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('expires_at', models.DateTimeField()),
                ('backup', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='downloads', to='backups.backup')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='organizations.organization')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='BackupJob',
            fields=[
                ('task', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='backup_job', serialize=False, to='tasks.task')),
                ('job_type', models.CharField(choices=[('BACKUP', 'Backup'), ('RESTORE', 'Restore'), ('VERIFY', 'Verify'), ('DELETE', 'Delete')], max_length=16)),
                ('db_name', models.CharField(max_length=255)),
                ('collection_names', models.JSONField(default=list)),
                ('options', models.JSONField(default=dict)),
                ('row_count', models.PositiveBigIntegerField(null=True)),
                ('size_bytes', models.PositiveBigIntegerField(null=True)),
                ('policy_id', models.CharField(blank=True, max_length=24)),
                ('is_cleaned_up', models.BooleanField(default=False)),
                ('backup', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='jobs', to='backups.backup')),
                ('cluster', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='backup_jobs', to='clusters.cluster')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'ordering': ['-task_id'],
                'indexes': [models.Index(fields=['organization', '-task'], name='job_by_organization'), models.Index(fields=['organization', 'job_type', '-task'], name='job_by_type'), models.Index(fields=['cluster', 'organization', '-task'], name='job_by_cluster'), models.Index(fields=['backup', '-task'], name='job_by_backup'), models.Index(condition=models.Q(('is_cleaned_up', False)), fields=['task'], name='backup_job_cleanup_pending_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('job_type__in', ['BACKUP', 'RESTORE', 'VERIFY', 'DELETE'])), name='backup_job_type_check')],
            },
        ),
        migrations.CreateModel(
            name='SealedPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('collection', models.CharField(max_length=255)),
                ('cursor', models.TextField()),
                ('part_json', models.TextField()),
                ('backup', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sealed_parts', to='backups.backup')),
            ],
            options={
                'ordering': ['number'],
                'constraints': [models.UniqueConstraint(fields=('backup', 'number'), name='sealed_part_backup_number_unique')],
            },
        ),
        migrations.CreateModel(
            name='StorageDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('size_bytes', models.PositiveBigIntegerField()),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='storage_days', to='clusters.cluster')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='organizations.organization')),
            ],
            options={
                'ordering': ['day'],
                'indexes': [models.Index(fields=['organization', 'day', 'size_bytes'], name='storage_by_organization')],
                'constraints': [models.UniqueConstraint(fields=('cluster', 'day'), name='storage_day_unique')],
            },
        ),
    ]
