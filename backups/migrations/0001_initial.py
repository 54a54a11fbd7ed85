import backups.models
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clusters', '0001_initial'),
        ('organizations', '0001_initial'),
        ('tasks', '0001_initial'),
    ]

    operations = [
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
                ('manifest_sha256', models.CharField(blank=True, max_length=64)),
                ('warnings', models.JSONField(default=list)),
                ('omissions', models.JSONField(default=list)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('verified_at', models.DateTimeField(null=True)),
                ('proven_at', models.DateTimeField(null=True)),
                ('damage_found_by', models.CharField(blank=True, max_length=40)),
                ('damage', models.JSONField(blank=True, default=list)),
                ('deleted_at', models.DateTimeField(null=True)),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='backups', to='clusters.cluster')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'ordering': ['-created_at', '-backup_id'],
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
                ('backup', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='jobs', to='backups.backup')),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='backup_jobs', to='clusters.cluster')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'ordering': ['-task_id'],
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
            },
        ),
        migrations.AddIndex(
            model_name='backup',
            index=models.Index(fields=['organization', '-created_at', '-backup_id'], name='backup_newest_first'),
        ),
        migrations.AddIndex(
            model_name='backup',
            index=models.Index(fields=['cluster', '-created_at'], name='backup_by_cluster'),
        ),
        migrations.AddConstraint(
            model_name='backup',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'GONE'), _negated=True), fields=('organization', 'name'), name='backup_organization_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='backup',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['CREATING', 'AVAILABLE', 'DELETING', 'GONE'])), name='backup_status_check'),
        ),
        migrations.AddConstraint(
            model_name='backup',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'AVAILABLE'), _negated=True), models.Q(('manifest_sha256', ''), _negated=True), _connector='OR'), name='backup_available_manifest_check'),
        ),
        migrations.AddIndex(
            model_name='backupjob',
            index=models.Index(fields=['organization', '-task'], name='job_by_organization'),
        ),
        migrations.AddIndex(
            model_name='backupjob',
            index=models.Index(fields=['cluster', '-task'], name='job_by_cluster'),
        ),
        migrations.AddIndex(
            model_name='backupjob',
            index=models.Index(condition=models.Q(('is_cleaned_up', False)), fields=['task'], name='backup_job_cleanup_pending_idx'),
        ),
        migrations.AddConstraint(
            model_name='backupjob',
            constraint=models.CheckConstraint(condition=models.Q(('job_type__in', ['BACKUP', 'RESTORE', 'VERIFY', 'DELETE'])), name='backup_job_type_check'),
        ),
        migrations.AddConstraint(
            model_name='sealedpart',
            constraint=models.UniqueConstraint(fields=('backup', 'number'), name='sealed_part_backup_number_unique'),
        ),
    ]
