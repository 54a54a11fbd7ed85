"""The tables of a new database at once. A database with rows goes through the migrations that this one
replaces, which also change the rows.
"""

import clusters.models
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import vbase_console.core.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('clusters', '0001_initial'),
        ('clusters', '0002_attached_clusters'),
        ('clusters', '0003_given_times'),
        ('clusters', '0004_metrics'),
        ('clusters', '0005_kept_copy'),
        ('clusters', '0006_rollouts'),
        ('clusters', '0007_plural_of_copies'),
        ('clusters', '0008_attached_once'),
        ('clusters', '0009_availability'),
    ]

    initial = True

    dependencies = [
        ('organizations', '0006_audit_by_object'),
    ]

    operations = [
        migrations.CreateModel(
            name='Cluster',
            fields=[
                ('cluster_id', models.CharField(default=vbase_console.core.ids.new_cluster_id, max_length=24, primary_key=True, serialize=False)),
                ('service_id', models.CharField(default=vbase_console.core.ids.new_service_id, max_length=24, unique=True)),
                ('name', models.CharField(max_length=63, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9._ -]{1,63}\\Z', 'Use 1 to 63 letters, digits, dots, underscores, spaces and dashes.')])),
                ('labels', models.JSONField(blank=True, default=dict)),
                ('deletion_protection', models.BooleanField(default=False)),
                ('driver', models.CharField(default=clusters.models.configured_driver, max_length=40)),
                ('version', models.CharField(max_length=40)),
                ('compute_units', models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(64)])),
                ('enable_auto_scaling', models.BooleanField(default=False)),
                ('max_compute_units', models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(64)])),
                ('autoscaled_units', models.PositiveSmallIntegerField(default=0)),
                ('enable_replicas', models.BooleanField(default=False)),
                ('replicas', models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1)])),
                ('status', models.CharField(choices=[('UNKNOWN', 'Unknown'), ('CREATING', 'Creating'), ('RUNNING', 'Running'), ('UPDATING', 'Updating'), ('RESIZING', 'Resizing'), ('STOPPING', 'Stopping'), ('STOPPED', 'Stopped'), ('DELETING', 'Deleting'), ('DELETED', 'Deleted'), ('UPDATE_FAILED', 'Update Failed'), ('ERROR', 'Error')], default='CREATING', max_length=16)),
                ('status_message', models.TextField(blank=True)),
                ('condition', models.CharField(choices=[('ABSENT', 'Absent'), ('RUNNING', 'Running'), ('STOPPED', 'Stopped'), ('BROKEN', 'Broken'), ('GONE', 'Gone'), ('UNSEEN', 'Unseen')], default='ABSENT', max_length=16)),
                ('change_failed', models.BooleanField(default=False)),
                ('wanted_running', models.BooleanField(default=True)),
                ('host', models.CharField(blank=True, max_length=253)),
                ('port', models.PositiveIntegerField(null=True)),
                ('effective_cores', models.PositiveIntegerField(null=True)),
                ('confinement', models.CharField(blank=True, max_length=8)),
                ('seen_at', models.DateTimeField(null=True)),
                ('sealed_token', models.TextField()),
                ('tls', models.BooleanField(default=False)),
                ('ca_certificate', models.TextField(blank=True)),
                ('server_mark', models.CharField(blank=True, max_length=64)),
                ('observe_after', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('deleted_at', models.DateTimeField(null=True)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'ordering': ['-created_at', '-cluster_id'],
                'indexes': [models.Index(fields=['organization', '-created_at', '-cluster_id'], name='cluster_newest_first')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'DELETED'), _negated=True), fields=('organization', 'name'), name='cluster_organization_name_unique'), models.UniqueConstraint(condition=models.Q(models.Q(('server_mark', ''), _negated=True), models.Q(('status', 'DELETED'), _negated=True)), fields=('server_mark',), name='cluster_attached_once'), models.CheckConstraint(condition=models.Q(('status__in', ['UNKNOWN', 'CREATING', 'RUNNING', 'UPDATING', 'RESIZING', 'STOPPING', 'STOPPED', 'DELETING', 'DELETED', 'UPDATE_FAILED', 'ERROR'])), name='cluster_status_check'), models.CheckConstraint(condition=models.Q(('compute_units__gte', 1), ('compute_units__lte', 64)), name='cluster_compute_units_check'), models.CheckConstraint(condition=models.Q(('enable_auto_scaling', False), ('max_compute_units__gte', models.F('compute_units')), _connector='OR'), name='cluster_autoscaling_check')],
            },
        ),
        migrations.CreateModel(
            name='ClusterDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('available_seconds', models.FloatField(default=0)),
                ('interrupted_seconds', models.FloatField(default=0)),
                ('stopped_seconds', models.FloatField(default=0)),
                ('counted_until', models.DateTimeField()),
                ('cause', models.CharField(blank=True, max_length=200)),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='days', to='clusters.cluster')),
            ],
            options={
                'ordering': ['day'],
                'indexes': [models.Index(fields=['day'], name='cluster_day_age')],
                'constraints': [models.UniqueConstraint(fields=('cluster', 'day'), name='cluster_day_unique')],
            },
        ),
        migrations.CreateModel(
            name='KeptCopy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.CharField(max_length=40)),
                ('size_bytes', models.PositiveBigIntegerField()),
                ('answers', models.JSONField()),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('removing', models.BooleanField(default=False)),
                ('cluster', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='kept_copy', to='clusters.cluster')),
            ],
            options={
                'verbose_name_plural': 'kept copies',
            },
        ),
        migrations.CreateModel(
            name='LoadSample',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('cpu_seconds', models.FloatField()),
                ('cores', models.PositiveIntegerField()),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='load_samples', to='clusters.cluster')),
            ],
            options={
                'ordering': ['at'],
                'indexes': [models.Index(fields=['cluster', 'at'], name='load_by_cluster')],
            },
        ),
        migrations.CreateModel(
            name='MetricSample',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('period_seconds', models.PositiveIntegerField()),
                ('at', models.DateTimeField()),
                ('measured_at', models.DateTimeField(null=True)),
                ('cpu_seconds', models.FloatField(null=True)),
                ('requests', models.BigIntegerField(null=True)),
                ('cpu_cores', models.FloatField(null=True)),
                ('memory_bytes', models.BigIntegerField(null=True)),
                ('rows', models.BigIntegerField(null=True)),
                ('disk_bytes', models.BigIntegerField(null=True)),
                ('requests_per_second', models.FloatField(null=True)),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='metric_samples', to='clusters.cluster')),
            ],
            options={
                'ordering': ['at'],
                'indexes': [models.Index(fields=['period_seconds', 'at'], name='metric_by_age')],
                'constraints': [models.UniqueConstraint(fields=('cluster', 'period_seconds', 'at'), name='metric_sample_unique')],
            },
        ),
        migrations.CreateModel(
            name='Rollout',
            fields=[
                ('rollout_id', models.CharField(default=vbase_console.core.ids.new_rollout_id, max_length=24, primary_key=True, serialize=False)),
                ('version', models.CharField(max_length=40)),
                ('backup_first', models.BooleanField(default=True)),
                ('state', models.CharField(choices=[('RUNNING', 'Running'), ('SUCCEEDED', 'Succeeded'), ('FAILED', 'Failed'), ('CANCELLED', 'Cancelled')], default='RUNNING', max_length=16)),
                ('requested_by', models.CharField(blank=True, max_length=254)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('finished_at', models.DateTimeField(null=True)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'ordering': ['-created_at', '-rollout_id'],
                'indexes': [models.Index(fields=['organization', '-created_at', '-rollout_id'], name='rollout_newest_first'), models.Index(condition=models.Q(('state', 'RUNNING')), fields=['created_at'], name='rollout_unfinished')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED'])), name='rollout_state_check'), models.CheckConstraint(condition=models.Q(models.Q(('finished_at', None), ('state', 'RUNNING')), models.Q(models.Q(('state', 'RUNNING'), _negated=True), ('finished_at__isnull', False)), _connector='OR'), name='rollout_finished_check')],
            },
        ),
        migrations.CreateModel(
            name='RolloutStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField()),
                ('from_version', models.CharField(max_length=40)),
                ('state', models.CharField(choices=[('WAITING', 'Waiting'), ('RUNNING', 'Running'), ('SUCCEEDED', 'Succeeded'), ('FAILED', 'Failed'), ('CANCELLED', 'Cancelled'), ('NOT_BEGUN', 'Not Begun')], default='WAITING', max_length=16)),
                ('task_id', models.CharField(blank=True, max_length=40)),
                ('message', models.TextField(blank=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rollout_steps', to='clusters.cluster')),
                ('rollout', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='steps', to='clusters.rollout')),
            ],
            options={
                'ordering': ['rollout', 'position'],
                'constraints': [models.UniqueConstraint(fields=('rollout', 'position'), name='rollout_step_position_unique'), models.UniqueConstraint(condition=models.Q(('state', 'RUNNING')), fields=('rollout',), name='rollout_step_running_unique'), models.UniqueConstraint(condition=models.Q(('state__in', ('WAITING', 'RUNNING'))), fields=('cluster',), name='rollout_step_cluster_unique'), models.UniqueConstraint(condition=models.Q(('task_id', ''), _negated=True), fields=('task_id',), name='rollout_step_task_unique'), models.CheckConstraint(condition=models.Q(('state__in', ['WAITING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'NOT_BEGUN'])), name='rollout_step_state_check'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'RUNNING'), _negated=True), models.Q(('task_id', ''), _negated=True), _connector='OR'), name='rollout_step_task_check')],
            },
        ),
    ]
