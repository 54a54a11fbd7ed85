import clusters.models
import django.core.validators
import django.db.models.deletion
import vbase_console.core.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('organizations', '0001_initial'),
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
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('deleted_at', models.DateTimeField(null=True)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'ordering': ['-created_at', '-cluster_id'],
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
            },
        ),
        migrations.AddIndex(
            model_name='cluster',
            index=models.Index(fields=['organization', '-created_at', '-cluster_id'], name='cluster_newest_first'),
        ),
        migrations.AddConstraint(
            model_name='cluster',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'DELETED'), _negated=True), fields=('organization', 'name'), name='cluster_organization_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='cluster',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['UNKNOWN', 'CREATING', 'RUNNING', 'UPDATING', 'RESIZING', 'STOPPING', 'STOPPED', 'DELETING', 'DELETED', 'UPDATE_FAILED', 'ERROR'])), name='cluster_status_check'),
        ),
        migrations.AddConstraint(
            model_name='cluster',
            constraint=models.CheckConstraint(condition=models.Q(('compute_units__gte', 1), ('compute_units__lte', 64)), name='cluster_compute_units_check'),
        ),
        migrations.AddConstraint(
            model_name='cluster',
            constraint=models.CheckConstraint(condition=models.Q(('enable_auto_scaling', False), ('max_compute_units__gte', models.F('compute_units')), _connector='OR'), name='cluster_autoscaling_check'),
        ),
        migrations.AddIndex(
            model_name='loadsample',
            index=models.Index(fields=['cluster', 'at'], name='load_by_cluster'),
        ),
    ]
