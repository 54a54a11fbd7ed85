"""The tables of a new database at once. A database with rows goes through the migrations that this one
replaces, which also change the rows.
"""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('tasks', '0001_initial'),
        ('tasks', '0002_given_times'),
        ('tasks', '0003_flat_rows'),
        ('tasks', '0004_metrics'),
        ('tasks', '0005_newest_first'),
        ('tasks', '0006_history_of_clusters'),
        ('tasks', '0007_worker_slots'),
        ('tasks', '0008_rare_states'),
        ('tasks', '0009_turns_of_organizations'),
        ('tasks', '0010_ended_days'),
    ]

    initial = True

    dependencies = [
        ('organizations', '0006_audit_by_object'),
    ]

    operations = [
        migrations.CreateModel(
            name='Heartbeat',
            fields=[
                ('part', models.CharField(max_length=20, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('is_working', models.BooleanField(default=True)),
                ('slots', models.PositiveSmallIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='Task',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('task_id', models.CharField(max_length=40, unique=True)),
                ('id_prefix', models.CharField(default='task', max_length=8)),
                ('kind', models.CharField(max_length=40)),
                ('subject_id', models.CharField(max_length=64)),
                ('lock', models.CharField(blank=True, max_length=80)),
                ('quota_key', models.CharField(blank=True, max_length=64)),
                ('holds_lock', models.BooleanField(default=False)),
                ('priority', models.SmallIntegerField(default=0)),
                ('arguments', models.JSONField(default=dict)),
                ('checkpoint', models.JSONField(default=dict)),
                ('state', models.CharField(choices=[('PENDING', 'Pending'), ('RUNNING', 'Running'), ('CANCELLING', 'Cancelling'), ('SUCCEEDED', 'Succeeded'), ('FAILED', 'Failed'), ('CANCELLED', 'Cancelled')], default='PENDING', max_length=16)),
                ('progress', models.PositiveSmallIntegerField(default=0)),
                ('phase', models.CharField(blank=True, max_length=40)),
                ('message', models.TextField(blank=True)),
                ('warnings', models.JSONField(default=list)),
                ('epoch', models.PositiveIntegerField(default=0)),
                ('worker', models.CharField(blank=True, max_length=120)),
                ('lease_until', models.DateTimeField(null=True)),
                ('not_before', models.DateTimeField(default=django.utils.timezone.now)),
                ('woken_at', models.DateTimeField(null=True)),
                ('cancel_requested_at', models.DateTimeField(null=True)),
                ('requested_by', models.CharField(blank=True, max_length=254)),
                ('retry_of', models.CharField(blank=True, max_length=40)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('started_at', models.DateTimeField(null=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['organization', '-id'], name='task_newest_first'), models.Index(fields=['organization', 'id_prefix', '-id'], name='task_listed'), models.Index(fields=['organization', 'id_prefix', 'state', '-id'], name='task_by_state'), models.Index(fields=['organization', 'kind', '-id'], name='task_by_kind'), models.Index(condition=models.Q(('state', 'FAILED')), fields=['organization', 'state', '-id'], name='task_failed'), models.Index(condition=models.Q(('state', 'CANCELLED')), fields=['organization', 'state', '-id'], name='task_cancelled'), models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['organization', 'id_prefix', '-id'], name='task_unfinished_listed'), models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['subject_id'], name='task_unfinished_by_subject'), models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['lock'], name='task_unfinished_by_lock'), models.Index(condition=models.Q(('state', 'PENDING')), fields=['not_before'], name='task_waiting'), models.Index(condition=models.Q(('lease_until__isnull', False)), fields=['lease_until'], name='task_leased'), models.Index(condition=models.Q(('state', 'PENDING')), fields=['lock', '-priority', 'id'], name='task_turn'), models.Index(condition=models.Q(('state', 'PENDING')), fields=['organization', '-priority', 'id'], name='task_in_turn'), models.Index(condition=models.Q(('state', 'PENDING'), ('woken_at__isnull', False)), fields=['organization', 'woken_at'], name='task_woken'), models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['organization', 'quota_key'], name='task_unfinished'), models.Index(condition=models.Q(('finished_at__isnull', False)), fields=['organization', 'finished_at', 'id_prefix', 'state'], name='task_ended'), models.Index(condition=models.Q(('retry_of', ''), _negated=True), fields=['retry_of'], name='task_retries'), models.Index(fields=['quota_key', 'organization', '-id'], name='task_of_cluster'), models.Index(fields=['quota_key', 'id_prefix', 'organization', '-id'], name='task_changes_of')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('holds_lock', True), models.Q(('lock', ''), _negated=True)), fields=('lock',), name='task_running_lock_unique'), models.CheckConstraint(condition=models.Q(('state__in', ['PENDING', 'RUNNING', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED'])), name='task_state_check'), models.CheckConstraint(condition=models.Q(('progress__lte', 100), models.Q(models.Q(('state', 'SUCCEEDED'), _negated=True), ('progress', 100), _connector='OR')), name='task_progress_check'), models.CheckConstraint(condition=models.Q(('holds_lock', False), ('state__in', ('RUNNING', 'CANCELLING')), _connector='OR'), name='task_lock_leased_check')],
            },
        ),
        migrations.CreateModel(
            name='TaskDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('id_prefix', models.CharField(max_length=8)),
                ('succeeded', models.PositiveIntegerField(default=0)),
                ('failed', models.PositiveIntegerField(default=0)),
                ('cancelled', models.PositiveIntegerField(default=0)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='organizations.organization')),
            ],
            options={
                'ordering': ['day'],
                'indexes': [models.Index(fields=['day'], name='task_day_age')],
                'constraints': [models.UniqueConstraint(fields=('organization', 'day', 'id_prefix'), name='task_day_unique')],
            },
        ),
        migrations.CreateModel(
            name='TaskEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('epoch', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('PENDING', 'Pending'), ('RUNNING', 'Running'), ('CANCELLING', 'Cancelling'), ('SUCCEEDED', 'Succeeded'), ('FAILED', 'Failed'), ('CANCELLED', 'Cancelled')], max_length=16)),
                ('progress', models.PositiveSmallIntegerField()),
                ('phase', models.CharField(blank=True, max_length=40)),
                ('message', models.TextField(blank=True)),
                ('task', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='tasks.task')),
            ],
            options={
                'ordering': ['pk'],
                'indexes': [models.Index(fields=['at'], name='task_event_age')],
            },
        ),
    ]
