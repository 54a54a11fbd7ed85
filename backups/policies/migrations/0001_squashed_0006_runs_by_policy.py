"""The tables of a new database at once. A database with rows goes through the migrations that this one
replaces, which also change the rows.
"""

import backups.policies.models
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('policies', '0001_initial'),
        ('policies', '0002_given_times'),
        ('policies', '0003_access_control'),
        ('policies', '0004_flat_rows'),
        ('policies', '0005_policy_days'),
        ('policies', '0006_runs_by_policy'),
    ]

    initial = True

    dependencies = [
        ('backups', '0005_flat_rows'),
        ('clusters', '0001_initial'),
        ('organizations', '0006_audit_by_object'),
    ]

    operations = [
        migrations.CreateModel(
            name='BackupPolicy',
            fields=[
                ('policy_id', models.CharField(default=backups.policies.models.new_policy_id, max_length=24, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=63)),
                ('description', models.CharField(blank=True, default='', max_length=500)),
                ('schedule_cron', models.CharField(max_length=200)),
                ('timezone', models.CharField(default='UTC', max_length=64)),
                ('retention_count', models.PositiveSmallIntegerField(validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000)])),
                ('is_active', models.BooleanField(default=True)),
                ('db_name', models.CharField(default='default', max_length=255)),
                ('collection_names', models.JSONField(default=list)),
                ('on_missing', models.CharField(choices=[('FAIL', 'Fail'), ('WARN', 'Warn')], default='FAIL', max_length=8)),
                ('include_access_control', models.BooleanField(default=False)),
                ('next_run_at', models.DateTimeField(null=True)),
                ('complete_backup_count', models.PositiveIntegerField(default=0)),
                ('newest_complete_backup_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='policies', to='clusters.cluster')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'verbose_name': 'backup policy',
                'verbose_name_plural': 'backup policies',
                'ordering': ['-created_at', '-policy_id'],
                'indexes': [models.Index(condition=models.Q(('next_run_at__isnull', False)), fields=['next_run_at'], name='policy_due'), models.Index(fields=['organization', '-created_at', '-policy_id'], name='policy_newest_first'), models.Index(fields=['cluster', '-created_at'], name='policy_by_cluster')],
                'constraints': [models.UniqueConstraint(fields=('cluster', 'name'), name='policy_cluster_name_unique'), models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='policy_name_check'), models.CheckConstraint(condition=models.Q(('retention_count__gte', 1), ('retention_count__lte', 1000)), name='policy_retention_count_check'), models.CheckConstraint(condition=models.Q(('is_active', True), ('next_run_at', None), _connector='OR'), name='policy_paused_without_next_run_check'), models.CheckConstraint(condition=models.Q(('is_active', False), ('next_run_at__isnull', False), _connector='OR'), name='policy_active_next_run_check'), models.CheckConstraint(condition=models.Q(('on_missing__in', ['FAIL', 'WARN'])), name='policy_on_missing_check')],
            },
        ),
        migrations.CreateModel(
            name='PolicyRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('planned_at', models.DateTimeField()),
                ('skip_reason', models.TextField(blank=True)),
                ('is_catch_up', models.BooleanField(default=False)),
                ('is_manual', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('retention_applied_at', models.DateTimeField(null=True)),
                ('retention_requested_at', models.DateTimeField(null=True)),
                ('job', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='policy_run', to='backups.backupjob')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
                ('policy', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='policies.backuppolicy')),
            ],
            options={
                'ordering': ['-planned_at', '-pk'],
                'indexes': [models.Index(condition=models.Q(('retention_applied_at__isnull', True)), fields=['policy'], name='run_retention_pending_idx'), models.Index(fields=['created_at'], name='run_age'), models.Index(fields=['-planned_at', '-id'], name='run_newest_first')],
                'constraints': [models.UniqueConstraint(fields=('policy', 'planned_at'), name='run_policy_planned_at_unique'), models.CheckConstraint(condition=models.Q(('job__isnull', False), models.Q(('skip_reason', ''), _negated=True), _connector='OR'), name='run_job_or_skip_reason_check')],
            },
        ),
        migrations.AddField(
            model_name='backuppolicy',
            name='last_run',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='policies.policyrun'),
        ),
        migrations.CreateModel(
            name='PolicyDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('good', models.PositiveIntegerField(default=0)),
                ('late', models.PositiveIntegerField(default=0)),
                ('failed', models.PositiveIntegerField(default=0)),
                ('skipped', models.PositiveIntegerField(default=0)),
                ('has_gap', models.BooleanField(default=False)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
                ('policy', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='days', to='policies.backuppolicy')),
            ],
            options={
                'ordering': ['day'],
                'indexes': [models.Index(fields=['day'], name='policy_day_age')],
                'constraints': [models.UniqueConstraint(fields=('policy', 'day'), name='policy_day_unique')],
            },
        ),
    ]
