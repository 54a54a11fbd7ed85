from django.db import migrations, models
from django.db.models import Q
from django.utils import timezone


def plan(apps, schema_editor):
    """One that has none planned would never fire; due now, the dispatcher plans it from here."""
    policies = apps.get_model("backups", "BackupPolicy").objects
    policies.filter(is_active=True, next_run_at=None).update(next_run_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0003_protection"),
    ]

    operations = [
        migrations.RunPython(plan, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="backuppolicy",
            constraint=models.CheckConstraint(
                condition=Q(("is_active", False), ("next_run_at__isnull", False), _connector="OR"),
                name="an_active_policy_plans_one",
            ),
        ),
    ]
