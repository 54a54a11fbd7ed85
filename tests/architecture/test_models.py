"""Rules for every model and every kind of task of the project."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.models import ForeignKey, Model

from clusters.states import STATUS_WHILE, TaskKind
from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import TenantQuerySet
from vbase_console.tasks import registry

# Model → why support staff do not need a page of it.
WITHOUT_ADMIN: dict[str, str] = {
    "admin.LogEntry": "the admin changes nothing that Django would log; history is the audit",
    "auth.Group": "the console makes none; those of a person stand on the person's page",
    "auth.Permission": "made by migrations",
    "axes.AccessAttemptExpiration": "shown with its attempt",
    "contenttypes.ContentType": "made by migrations",
    "django_celery_beat.ClockedSchedule": "no schedule of the console's is of this kind",
    "django_celery_beat.PeriodicTasks": "one instant, by which beat notices changes",
    "django_celery_beat.SolarSchedule": "no schedule of the console's is of this kind",
    "organizations.OrganizationVersion": "a number by which open pages see that something changed",
    "rest_framework_api_key.APIKey": "the library's own key, which nothing here uses",
    "sessions.Session": "a session's key is a credential, which no page shows",
}
# Model with an organization → why it is not asked for through `visible_to`.
WITHOUT_VISIBILITY: dict[str, str] = {
    "console_api.IdempotentAnswer": "found by the organization of the key that asks, and shown to "
    "no other one",
}


def label(model: type[Model]) -> str:
    return model._meta.label


def shown_in_admin() -> set[str]:
    pages = admin.site._registry
    inlines = {inline.model for page in pages.values() for inline in page.inlines}
    return {label(model) for model in [*pages, *inlines]}


def of_an_organization() -> list[type[Model]]:
    return [
        model
        for model in apps.get_models()
        for field in model._meta.fields
        if isinstance(field, ForeignKey) and field.related_model is Organization
    ]


def test_support_staff_find_every_model_or_it_is_said_why_not() -> None:
    everything = {label(model) for model in apps.get_models() if not model._meta.auto_created}
    assert everything - shown_in_admin() == set(WITHOUT_ADMIN)


@pytest.mark.parametrize("model", of_an_organization(), ids=label)
def test_rows_of_an_organization_are_asked_for_by_the_one_rule(model: type[Model]) -> None:
    queryset = model._default_manager.all()
    assert isinstance(queryset, TenantQuerySet) or label(model) in WITHOUT_VISIBILITY


@pytest.mark.parametrize("kind", TaskKind)
def test_every_kind_of_task_has_a_job_and_a_status(kind: TaskKind) -> None:
    job = registry.job_for(kind)
    assert job.retry is not None
    assert kind in STATUS_WHILE


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_the_replaced_migrations_lead_to_the_same_models() -> None:
    """A new database goes through those that replace them, and an earlier one through these.
    Later migrations follow on both.
    """
    replacing, replaced = MigrationLoader(None), MigrationLoader(None, replace_migrations=False)
    both = [migration for migration in replacing.disk_migrations.values() if migration.replaces]
    new = replacing.project_state([(each.app_label, each.name) for each in both])
    earlier = replaced.project_state([each.replaces[-1] for each in both])
    assert {("organizations", "organization"), ("backups", "backup")} <= earlier.models.keys()
    assert MigrationAutodetector(earlier, new).changes(replaced.graph) == {}


def test_a_replacement_follows_on_the_same_migrations_as_the_replaced() -> None:
    """With later ones it would be applied before its dependency in a database between versions."""
    migrations = MigrationLoader(None, replace_migrations=False).disk_migrations
    for replacement in (each for each in migrations.values() if each.replaces):
        replaced = [migrations[key] for key in replacement.replaces]
        others = {key for each in replaced for key in each.dependencies} - set(replacement.replaces)
        newest = {app: max(name for its, name in others if its == app) for app, _ in others}
        assert dict(replacement.dependencies) == newest, replacement
