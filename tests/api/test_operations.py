"""Rules for every operation, also for operations that are added later."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings

from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from clusters.models import Cluster, Rollout
from tests.api.client import Api
from tests.api.operations import Served, served
from tests.backups.seeds import seed_backup, seed_job
from vbase_console.organizations.scopes import ALL_SCOPES, ANY_MEMBER
from vbase_console.tasks.models import Task

EVERY = served()
WITH_A_BODY = [one for one in EVERY if one.method != "GET"]
DOCUMENT = (settings.BASE_DIR / "docs" / "api.md").read_text()


@pytest.fixture
def fill(make_cluster: Callable[..., Cluster]) -> Callable[[Served], str]:
    """An operation's address with things of Alice's in it."""
    cluster = make_cluster()
    backup = seed_backup(cluster)
    job = seed_job(backup)
    rollout = Rollout.objects.create(organization_id=cluster.organization_id, version="2.0.0")
    policy = create_policy(cluster, PolicySpec(schedule_cron="@daily", retention_count=1))

    def fill(one: Served) -> str:
        return one.path.format(
            organization_id=cluster.organization_id,
            cluster_id=cluster.cluster_id,
            service_id=cluster.service_id,
            task_id=Task.objects.get(kind="DEPLOYMENT").task_id,
            backup_name=backup.name,
            job_id=job.task.task_id,
            policy_id=policy.policy_id,
            name="default",
            rollout_id=rollout.rollout_id,
        )

    return fill


def names(operations: list[Served]) -> list[str]:
    return [one.operation.name for one in operations]


def test_every_operation_has_a_name_of_its_own() -> None:
    assert len(set(names(EVERY))) == len(EVERY)


def test_every_scope_is_one_that_a_key_can_carry() -> None:
    assert {one.operation.scope for one in EVERY} <= {*ALL_SCOPES, ANY_MEMBER}


def test_what_is_not_a_get_is_a_change_but_for_a_list_and_a_preview_restore() -> None:
    reads = [one for one in EVERY if not one.operation.changes and one.method != "GET"]
    assert sorted(names(reads)) == [
        "ListBackupByOrg",
        "PreviewBackupPolicy",
        "PreviewRollout",
    ]


@pytest.mark.parametrize("one", WITH_A_BODY, ids=names(WITH_A_BODY))
def test_an_unknown_field_is_named(api: Api, fill: Callable[[Served], str], one: Served) -> None:
    said = api.send(one.method, fill(one), body={"colour": "red"})
    assert said.code == "INVALID_ARGUMENT"
    assert "colour" in said.field_errors


@pytest.mark.parametrize("one", EVERY, ids=names(EVERY))
def test_an_unknown_parameter_is_named(
    api: Api, fill: Callable[[Served], str], one: Served
) -> None:
    said = api.send(one.method, fill(one), query={"colour": "red"})
    assert list(said.field_errors) == ["colour"]


@pytest.mark.parametrize("one", EVERY, ids=names(EVERY))
def test_the_notes_list_it_with_its_scope(one: Served) -> None:
    its = one.operation
    assert f"| {its.name} | {one.method} `{one.path}` | {its.scope_in_words} |" in DOCUMENT


def test_the_notes_list_nothing_else() -> None:
    assert DOCUMENT.count("`/v1/vbase/") == len(EVERY)
