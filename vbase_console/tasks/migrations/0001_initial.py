import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('organizations', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Heartbeat',
            fields=[
                ('part', models.CharField(max_length=20, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('is_working', models.BooleanField(default=True)),
            ],
        ),
        migrations.CreateModel(
            name='Task',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('task_id', models.CharField(max_length=40, unique=True)),
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
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='organizations.organization')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='TaskEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('epoch', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('PENDING', 'Pending'), ('RUNNING', 'Running'), ('CANCELLING', 'Cancelling'), ('SUCCEEDED', 'Succeeded'), ('FAILED', 'Failed'), ('CANCELLED', 'Cancelled')], max_length=16)),
                ('progress', models.PositiveSmallIntegerField()),
                ('phase', models.CharField(blank=True, max_length=40)),
                ('message', models.TextField(blank=True)),
                ('task', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='tasks.task')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['organization', '-id'], name='task_by_organization'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['subject_id', '-id'], name='task_by_subject'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(condition=models.Q(('state', 'PENDING')), fields=['not_before'], name='task_waiting'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(condition=models.Q(('lease_until__isnull', False)), fields=['lease_until'], name='task_leased'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(condition=models.Q(('state', 'PENDING')), fields=['lock', '-priority', 'id'], name='task_turn'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['organization', 'quota_key'], name='task_unfinished'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(condition=models.Q(('retry_of', ''), _negated=True), fields=['retry_of'], name='task_retries'),
        ),
        migrations.AddConstraint(
            model_name='task',
            constraint=models.UniqueConstraint(condition=models.Q(('holds_lock', True), models.Q(('lock', ''), _negated=True)), fields=('lock',), name='task_running_lock_unique'),
        ),
        migrations.AddConstraint(
            model_name='task',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['PENDING', 'RUNNING', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED'])), name='task_state_check'),
        ),
        migrations.AddConstraint(
            model_name='task',
            constraint=models.CheckConstraint(condition=models.Q(('progress__lte', 100), models.Q(models.Q(('state', 'SUCCEEDED'), _negated=True), ('progress', 100), _connector='OR')), name='task_progress_check'),
        ),
        migrations.AddConstraint(
            model_name='task',
            constraint=models.CheckConstraint(condition=models.Q(('holds_lock', False), ('state__in', ('RUNNING', 'CANCELLING')), _connector='OR'), name='task_lock_leased_check'),
        ),
        migrations.AddIndex(
            model_name='taskevent',
            index=models.Index(fields=['at'], name='task_event_age'),
        ),
    ]
