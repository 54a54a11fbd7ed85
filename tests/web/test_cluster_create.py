from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from backups.policies.models import BackupPolicy
from clusters.models import Cluster
from tests.web.conftest import Browser
from vbase_console.core.errors import FailedPrecondition
from vbase_console.dashboard import creation
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task

FORM = {"name": "vectors", "version": "2.1.0", "compute_units": "2", "replicas": "1"}
pytestmark = pytest.mark.django_db


def test_it_creates_and_shows_how_it_goes(alices: Browser) -> None:
    answer = alices.send("cluster-create", **FORM, labels="env=dev\nteam=a=b")
    cluster = Cluster.objects.get()
    assert answer.url == f"/o/acme/clusters/{cluster.pk}"
    assert (cluster.compute_units, cluster.labels) == (2, {"env": "dev", "team": "a=b"})


def test_it_leaves_an_audit_row_that_names_cluster_and_task(alices: Browser) -> None:
    alices.send("cluster-create", **FORM)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.outcome, entry.interface) == ("CreateCluster", "ACCEPTED", "PAGES")
    assert entry.object_id == Cluster.objects.get().pk
    assert (entry.detail, entry.source) == (Task.objects.get().task_id, "127.0.0.1")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "slash/ed", "63 letters"),
        ("name", "", "required"),
        ("compute_units", "65", "64"),
        ("version", "9.9", "9.9"),
        ("replicas", "5", "1 to 4 replicas"),
        ("labels", "no equals", "key=value"),
        ("labels", "a=1\na=2", "once"),
    ],
)
def test_it_says_at_the_field_what_is_wrong(
    alices: Browser, field: str, value: str, said: str
) -> None:
    answer = alices.send("cluster-create", **(FORM | {field: value}))
    assert answer.status_code == 422
    assert said in " ".join(answer.context["form"].errors[field])
    assert not Cluster.objects.exists()


def test_it_keeps_what_was_typed(alices: Browser) -> None:
    answer = alices.send("cluster-create", **(FORM | {"compute_units": "99", "labels": "env=dev"}))
    content = answer.content.decode()
    assert 'value="vectors"' in content
    assert "env=dev" in content


def test_it_says_that_a_name_is_taken(alices: Browser) -> None:
    alices.send("cluster-create", **FORM)
    answer = alices.send("cluster-create", **FORM)
    assert answer.status_code == 409
    assert b"Choose another name" in answer.content


def test_what_was_refused_is_on_record(alices: Browser) -> None:
    alices.send("cluster-create", **(FORM | {"compute_units": "99"}))
    entry = AuditEntry.objects.get()
    assert entry.outcome == "REFUSED"
    assert entry.detail.startswith("INVALID_ARGUMENT: Compute units: ")


def test_an_upper_bound_counts_only_where_it_scales_by_load(alices: Browser) -> None:
    alices.send("cluster-create", **FORM, max_compute_units="1")
    assert Cluster.objects.get().max_compute_units == 2
    wrong = FORM | {"name": "b", "enable_auto_scaling": "on", "max_compute_units": "1"}
    answer = alices.send("cluster-create", **wrong)
    assert "at least" in str(answer.context["form"].errors["max_compute_units"])


def test_it_offers_what_the_driver_can_do(
    alices: Browser, driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    less = dataclasses.replace(
        driver.capabilities, max_replicas=1, supports_load=False, versions=("7",)
    )
    monkeypatch.setattr(driver, "capabilities", less)
    fields = alices.open("cluster-create").context["form"].fields
    assert not {"replicas", "enable_auto_scaling", "max_compute_units"} & set(fields)
    assert fields["version"].choices == [("7", "7")]


def test_a_schedule_of_backups_is_offered_and_daily_is_preselected(alices: Browser) -> None:
    content = alices.open("cluster-create").content.decode()
    assert '<option value="daily" selected>Daily at 03:00, keep 7</option>' in content


def test_it_creates_the_policy_with_the_cluster(alices: Browser) -> None:
    alices.send("cluster-create", **FORM, protection="daily")
    policy = BackupPolicy.objects.get()
    assert policy.cluster == Cluster.objects.get()
    assert (policy.schedule_cron, policy.retention_count) == ("0 3 * * *", 7)
    assert policy.collection_names == []


def test_cluster_and_policy_each_have_an_audit_row(alices: Browser) -> None:
    alices.send("cluster-create", **FORM, protection="weekly")
    rows = AuditEntry.objects.values_list("action", "object_id", "outcome")
    assert set(rows) == {
        ("CreateCluster", Cluster.objects.get().pk, "ACCEPTED"),
        ("CreateBackupPolicy", BackupPolicy.objects.get().pk, "ACCEPTED"),
    }


def test_a_refused_policy_leaves_no_cluster(
    alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise FailedPrecondition("No policy now.")

    monkeypatch.setattr(creation, "create_policy", refuse)
    answer = alices.send("cluster-create", **FORM, protection="daily")
    assert b"No policy now." in answer.content
    assert not Cluster.objects.exists()
    assert not Task.objects.exists()


def test_without_a_schedule_it_creates_no_policy(alices: Browser) -> None:
    alices.send("cluster-create", **FORM, protection="")
    assert Cluster.objects.exists()
    assert not BackupPolicy.objects.exists()


def test_a_folded_field_with_an_error_is_unfolded(alices: Browser) -> None:
    assert b'<details class="more">' in alices.open("cluster-create").content
    answer = alices.send("cluster-create", **(FORM | {"labels": "no equals"}))
    assert b'<details class="more" open>' in answer.content
