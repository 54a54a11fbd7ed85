from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from clusters.models import Cluster
from tests.web.conftest import Browser
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
