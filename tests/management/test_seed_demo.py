"""Sample data can be looked at, measured and removed, and nothing in the console touches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies import dispatch
from backups.policies.models import BackupPolicy, PolicyRun
from backups.protection.models import KnownCollection
from backups.services.backups import verify_backup
from backups.stores.base import put
from backups.stores.local import LocalStore
from clusters.models import Cluster
from clusters.states import TaskKind
from tests.api.client import Api
from tests.backups.conftest import store
from vbase_console.celery import app
from vbase_console.core.errors import FailedPrecondition
from vbase_console.management.demo import kept_figures
from vbase_console.organizations.models import Membership, Organization
from vbase_console.organizations.scopes import ALL_SCOPES
from vbase_console.organizations.services import issue_api_key
from vbase_console.tasks.models import Task

__all__ = ["store"]
pytestmark = pytest.mark.django_db
SIZE = {"clusters": 4, "backups": 30, "tasks": 20}


@pytest.fixture
def sample(organization: Organization) -> Organization:
    call_command("seed_demo", organization="sample", **SIZE)
    return Organization.objects.get(name="sample")


@pytest.fixture
def sample_api(sample: Organization) -> Api:
    return Api(issue_api_key(sample, name="bench", scopes=ALL_SCOPES)[1])


def test_it_has_as_many_rows_as_were_asked_for(sample: Organization) -> None:
    of_clusters = Task.objects.filter(organization=sample, kind__in=TaskKind.values)
    assert Cluster.objects.filter(organization=sample).count() == 4
    assert Backup.objects.filter(organization=sample).count() == 30
    assert of_clusters.count() == 20
    assert BackupJob.objects.filter(organization=sample, task__state="SUCCEEDED").count() == 30


def test_no_task_ends_in_the_future(sample: Organization) -> None:
    assert not Task.objects.filter(organization=sample, finished_at__gt=timezone.now()).exists()


def test_the_first_owner_owns_it(sample: Organization, alice: User) -> None:
    membership = Membership.objects.get(organization=sample)
    assert (membership.user, membership.role) == (alice, "owner")


def test_its_clusters_have_the_memory_driver(sample: Organization) -> None:
    assert set(Cluster.objects.values_list("driver", flat=True)) == {"memory"}


def test_its_history_is_in_order(sample: Organization) -> None:
    created = list(Task.objects.order_by("pk").values_list("created_at", flat=True))
    assert created == sorted(created)


def test_every_page_says_that_it_is_a_sample(
    sample: Organization, alice: User, signed_in: Callable[[User], Client]
) -> None:
    page = signed_in(alice).get("/o/sample/backups").content.decode()
    assert "sample contains sample data. You can look at everything and change nothing." in page


def test_the_page_of_a_backup_reads_no_archive_and_finds_no_damage(
    sample: Organization, alice: User, signed_in: Callable[[User], Client], store: LocalStore
) -> None:
    put(store, "another/backup", b"the store is there")
    backup = Backup.objects.filter(damage_found_by="").latest("created_at")
    answer = signed_in(alice).get(f"/o/sample/backups/{backup.name}")
    phases = [span.name for span in answer.context["timeline"].spans]
    assert "A backup of sample data has no files." in answer.content.decode()
    assert phases == ["waiting", "pinning", "copying", "sealing"]
    assert not Backup.objects.get(pk=backup.pk).is_damaged


def test_a_real_organization_says_nothing_of_samples(
    organization: Organization, alice: User, signed_in: Callable[[User], Client]
) -> None:
    assert "sample data" not in signed_in(alice).get("/o/acme/backups").content.decode()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/clusters"),
        ("PATCH", "/clusters/{cluster_id}"),
        ("DELETE", "/clusters/{cluster_id}"),
        ("POST", "/{service_id}/backup/policy"),
        ("POST", "/{service_id}/backup/{backup}/pin"),
        ("DELETE", "/{service_id}/backup/{backup}"),
    ],
)
def test_a_change_through_the_api_is_a_failed_precondition(
    sample_api: Api, method: str, path: str
) -> None:
    backup = Backup.objects.select_related("cluster").earliest("created_at")
    cluster = backup.cluster
    address = path.format(
        cluster_id=cluster.cluster_id, service_id=cluster.service_id, backup=backup.name
    )
    assert sample_api.send(method, address, body={}).code == "FAILED_PRECONDITION"


def test_a_change_on_a_page_is_refused_and_audited(
    sample: Organization, alice: User, signed_in: Callable[[User], Client]
) -> None:
    cluster = Cluster.objects.filter(organization=sample).earliest("created_at")
    answer = signed_in(alice).post(f"/o/sample/clusters/{cluster.pk}/restart")
    assert answer.status_code == 400
    assert "cannot be changed" in answer.content.decode()
    assert sample.auditentry_set.get().outcome == "REFUSED"


def test_the_engine_refuses_its_tasks_whatever_asks(sample: Organization) -> None:
    backup = Backup.objects.latest("created_at")
    with pytest.raises(FailedPrecondition, match="sample data"), transaction.atomic():
        verify_backup(backup, by="support:sam")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", sorted(settings.CELERY_BEAT_SCHEDULE))
def test_every_sweep_leaves_it_out(
    sample: Organization, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    Cluster.objects.update(enable_auto_scaling=True, max_compute_units=64)
    BackupPolicy.objects.update(next_run_at=timezone.now(), retention_count=1)
    PolicyRun.objects.update(retention_applied_at=None)
    BackupJob.objects.update(is_cleaned_up=False)
    before = rows_of_samples()
    app.loader.import_default_modules()
    app.tasks[name]()
    assert rows_of_samples() == before
    assert caplog.records == []
    assert dispatch.overdue_since() is None


def rows_of_samples() -> list[Any]:
    models = (Cluster, Backup, BackupJob, BackupPolicy, PolicyRun, KnownCollection, Task)
    return [list(model._base_manager.order_by("pk").values()) for model in models]


def test_an_interrupted_call_leaves_a_sample_that_can_be_removed(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_figures, "update_coverage", lambda key: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call_command("seed_demo", organization="sample", **SIZE)
    call_command("seed_demo", organization="sample", remove=True)
    assert list(Organization.objects.all()) == [organization]


def test_all_that_has_a_policy_is_covered(sample: Organization) -> None:
    with_policy = KnownCollection.objects.filter(cluster__policies__isnull=False)
    assert {known.policy_id for known in with_policy} == set(
        BackupPolicy.objects.values_list("pk", flat=True)
    )


def test_a_name_of_a_real_organization_is_refused(organization: Organization) -> None:
    for options in (SIZE, {"remove": True}):
        with pytest.raises(CommandError, match="'acme' exists and is no sample"):
            call_command("seed_demo", organization="acme", **options)


def test_many_machines_have_to_confirm(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DEMO_NEEDS_CONFIRMATION", True)
    with pytest.raises(CommandError, match="--yes"):
        call_command("seed_demo", organization="sample", **SIZE)
    call_command("seed_demo", organization="sample", **SIZE, yes=True)


def test_backups_need_a_cluster(organization: Organization) -> None:
    with pytest.raises(CommandError, match="at least one cluster"):
        call_command("seed_demo", organization="sample", clusters=0, backups=1, tasks=0)


def test_it_is_created_anew_on_request(sample: Organization) -> None:
    call_command("seed_demo", organization="sample", clusters=1, backups=2, tasks=3)
    assert Cluster.objects.count() == 1


def test_it_is_removed_with_all_its_rows(sample: Organization, organization: Organization) -> None:
    call_command("seed_demo", organization="sample", remove=True)
    assert list(Organization.objects.all()) == [organization]
    assert Task.objects.count() + Backup.objects.count() + Cluster.objects.count() == 0


def test_what_was_refused_stays_in_the_history_when_it_is_removed(
    sample: Organization, sample_api: Api
) -> None:
    sample_api.post("/clusters", name="new")
    call_command("seed_demo", organization="sample", remove=True)
    assert sample.auditentry_set.count() == 1
    assert not Membership.objects.filter(organization=sample).exists()
    call_command("seed_demo", organization="sample", **SIZE)
    assert Membership.objects.filter(organization=sample).count() == 1
