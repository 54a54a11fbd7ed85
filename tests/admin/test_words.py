"""Lists and pages of the admin speak the words of the pages, and link their neighbours."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from backups.models import Backup
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from clusters.models import Cluster
from tests.backups.seeds import seed_backup
from tests.policies.pages import back_up, skip
from vbase_console.core.admin_columns import address_of
from vbase_console.dashboard.support.site import SECTIONS
from vbase_console.organizations import differences
from vbase_console.organizations.audit import Interface, record
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task
from vbase_console.web.wording import KINDS, STATES

MARKUP = re.compile(r"<script.*?</script>|<[^>]*>", re.DOTALL)
LISTS = (
    *("clusters_cluster", "tasks_task", "backups_backup", "backups_backupjob"),
    *("policies_backuppolicy", "policies_policyrun", "organizations_auditentry"),
)


@pytest.fixture
def filled(failed_task: Task) -> Cluster:
    cluster = Cluster.objects.get()
    policy = create_policy(cluster, PolicySpec(schedule_cron="0 3 * * *", retention_count=2))
    back_up(policy, state="FAILED")
    skip(policy, f"{cluster.service_id} is UPDATE_FAILED.")
    message = f"VERSION_UPGRADE failed ({failed_task.task_id})."
    Cluster.objects.update(status="UPDATE_FAILED", status_message=message)
    return cluster


def text_of(client: Client, address: str) -> str:
    return MARKUP.sub(" ", client.get(address).content.decode())


def test_each_list_is_in_one_section() -> None:
    listed = [label for labels in SECTIONS.values() for label in labels]
    assert sorted(listed) == sorted(model._meta.label for model in admin.site._registry)


def test_the_index_names_sections_as_people_do(support: Client, filled: Cluster) -> None:
    text = text_of(support, reverse("admin:index"))
    assert "Failed sign-ins" in text
    assert "axes" not in text.lower()


@pytest.mark.parametrize("page", LISTS)
def test_no_list_shows_a_constant_of_the_api(support: Client, filled: Cluster, page: str) -> None:
    text = text_of(support, reverse(f"admin:{page}_changelist"))
    assert set(re.findall(r"\b[A-Z_]{4,}\b", text)) & (STATES | KINDS) == set()


def test_the_story_shows_no_constant_of_the_api(support: Client, filled: Cluster) -> None:
    text = text_of(support, reverse("admin-cluster-story", args=[filled.pk]))
    assert set(re.findall(r"\b[A-Z_]{4,}\b", text)) & (STATES | KINDS) == set()
    assert "Upgrade failed." in text


@pytest.mark.parametrize("page", ["clusters_cluster", "backups_backupjob", "policies_policyrun"])
def test_a_list_links_the_organization_of_each_row(
    support: Client, filled: Cluster, page: str
) -> None:
    content = support.get(reverse(f"admin:{page}_changelist")).content.decode()
    assert f'<a href="{address_of(filled.organization)}">' in content


def test_a_backup_links_its_cluster_and_its_policy(support: Client, filled: Cluster) -> None:
    backup = seed_backup(filled, "nightly")
    Backup.objects.filter(pk=backup.pk).update(policy_id="pol-0123456789abcdef")
    content = support.get(address_of(backup)).content.decode()
    assert address_of(filled) in content
    assert f"{reverse('admin-search')}?q=pol-0123456789abcdef" in content


def test_a_task_links_its_cluster_its_story_and_its_retry(
    support: Client, failed_task: Task
) -> None:
    retry = Task.objects.create(
        task_id="task-0123456789abcdef",
        organization=failed_task.organization,
        kind="RESTART",
        subject_id=failed_task.subject_id,
        retry_of=failed_task.task_id,
    )
    content = support.get(address_of(failed_task)).content.decode()
    for address in (
        reverse("admin:clusters_cluster_change", args=[failed_task.subject_id]),
        reverse("admin-cluster-story", args=[failed_task.subject_id]),
        address_of(retry),
    ):
        assert f'href="{address}"' in content


@pytest.mark.parametrize(
    ("label", "person"),
    [
        ("alice@example.com", "alice@example.com"),
        ("support:alice@example.com", "support staff alice@example.com"),
    ],
)
def test_an_entry_links_the_person_who_made_it(
    support: Client, alice: User, filled: Cluster, label: str, person: str
) -> None:
    entry = changed(filled, {}, {"name": "shop"}, label)
    content = support.get(address_of(entry)).content.decode()
    search = f"{reverse('admin-search')}?q=alice@example.com"
    assert f'<a href="{search}">{person}</a>' in content
    assert support.get(search).headers["Location"] == address_of(alice)


@pytest.mark.parametrize(("state", "offered"), [("FAILED", "retry"), ("PENDING", "cancel")])
def test_a_task_offers_what_its_state_allows(
    support: Client, failed_task: Task, state: str, offered: str
) -> None:
    Task.objects.filter(pk=failed_task.pk).update(state=state)
    content = support.get(address_of(failed_task)).content.decode()
    assert re.findall(r'name="action" value="(\w+)"', content) == [offered]


def changed(
    cluster: Cluster,
    old: dict[str, object],
    new: dict[str, object],
    principal: str = "alice@example.com",
) -> AuditEntry:
    with differences.noting():
        differences.note(old, new)
        return record(
            organization_id=cluster.organization_id,
            principal=principal,
            action="UpdateBackupPolicy",
            object_id=cluster.pk,
            source=None,
            interface=Interface.PAGES,
        )


@pytest.mark.parametrize("is_list", [True, False])
def test_a_change_shows_old_and_new_values_in_words(
    support: Client, filled: Cluster, is_list: bool
) -> None:
    entry = changed(filled, {"on_missing": "FAIL"}, {"on_missing": "WARN"})
    page = reverse("admin:organizations_auditentry_changelist") if is_list else address_of(entry)
    content = support.get(page).content.decode()
    words = "<del>the run fails</del> → <ins>the others are backed up</ins>"
    assert f"If a collection is missing: {words}" in content
    assert "on_missing" not in content


def test_the_address_in_an_older_entry_stays_hidden(support: Client, filled: Cluster) -> None:
    entry = changed(filled, {"endpoint": "10.0.0.1"}, {"endpoint": "milvus.internal"})
    for page in (
        address_of(entry),
        reverse("admin:organizations_auditentry_changelist"),
        reverse("admin-cluster-story", args=[filled.pk]),
    ):
        content = support.get(page).content.decode()
        assert "Connection: <ins>changed</ins>" in content
        assert "milvus.internal" not in content


def test_labels_of_a_cluster_are_told_without_brackets(support: Client, filled: Cluster) -> None:
    Cluster.objects.update(labels={"stage": "test"})
    assert "stage: test" in text_of(support, address_of(filled))


def test_an_empty_list_says_so(support: Client) -> None:
    assert "No rollouts yet." in text_of(support, reverse("admin:clusters_rollout_changelist"))


def test_each_cell_of_a_list_has_the_name_of_its_column(support: Client, filled: Cluster) -> None:
    content = support.get(reverse("admin:clusters_cluster_changelist")).content.decode()
    assert re.search(r'<td data-label="Status" class="field-status', content)
