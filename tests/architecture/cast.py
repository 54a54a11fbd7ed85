"""Two organizations with one of everything in each, and a client for each interface."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from django.contrib.auth.models import User
from django.test import Client

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.services.backups import verify_backup
from backups.states import BackupStatus
from clusters.models import Cluster, Rollout
from clusters.services import create_cluster
from tests.deployed import deploy_at_once
from vbase_console.organizations.authentication import principal_of_member
from vbase_console.organizations.models import Membership, Organization
from vbase_console.organizations.services import issue_api_key
from vbase_console.tasks.models import Task


@dataclasses.dataclass(frozen=True)
class Tenant:
    """Objects of an organization, one of each kind."""

    organization: Organization
    cluster: Cluster
    task: Task
    membership: Membership
    key_prefix: str
    backup: Backup
    job_id: str
    policy: BackupPolicy
    rollout: Rollout


# The part of an address → what stands there for a tenant. A new part belongs here.
VALUES: dict[str, Callable[[Tenant], str]] = {
    "organization": lambda tenant: tenant.organization.name,
    "organization_id": lambda tenant: str(tenant.organization.pk),
    "cluster_id": lambda tenant: tenant.cluster.cluster_id,
    "service_id": lambda tenant: tenant.cluster.service_id,
    "task_id": lambda tenant: tenant.task.task_id,
    "membership_id": lambda tenant: str(tenant.membership.pk),
    "prefix": lambda tenant: tenant.key_prefix,
    "backup_name": lambda tenant: tenant.backup.name,
    "job_id": lambda tenant: tenant.job_id,
    "policy_id": lambda tenant: tenant.policy.policy_id,
    "rollout_id": lambda tenant: tenant.rollout.rollout_id,
    "name": lambda _: "default",  # of a database or collection in a cluster
    # Parts that name nothing of a tenant's: in the admin, which only support staff may use.
    "app_label": lambda _: "tasks",
    "content_type_id": lambda _: "1",
    "object_id": lambda tenant: str(tenant.task.pk),
    "url": lambda _: "nothing/",
}


def make_tenant(organization: Organization, owner: User) -> Tenant:
    principal = principal_of_member(owner, organization.name)
    cluster, task = create_cluster(principal, name=f"cluster of {organization.name}")
    deploy_at_once(cluster, task)
    cluster.refresh_from_db()
    membership = Membership.objects.get(organization=organization, user=owner)
    key, _ = issue_api_key(organization, name="kept", scopes=["GetCluster"])
    backup = Backup.objects.create(
        organization=organization,
        cluster=cluster,
        name=f"backup-of-{organization.name}",
        db_name="default",
        status=BackupStatus.AVAILABLE,
        manifest_sha256="0" * 64,
    )
    job = verify_backup(backup, by=owner.username)
    policy = create_policy(cluster, PolicySpec(schedule_cron="0 3 * * *", retention_count=7))
    rollout = Rollout.objects.create(organization=organization, version=cluster.version)
    rollout.steps.create(position=1, cluster=cluster, from_version="1.0.0")
    return Tenant(
        organization,
        cluster,
        task,
        membership,
        key.prefix,
        backup,
        job_id=job.task.task_id,
        policy=policy,
        rollout=rollout,
    )


def values_of(tenant: Tenant) -> dict[str, str]:
    return {place: value(tenant) for place, value in VALUES.items()}


def with_key(text: str) -> Client:
    return Client(headers={"authorization": f"Bearer {text}"}, raise_request_exception=False)


def with_session(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@dataclasses.dataclass(frozen=True)
class Visitor:
    """A person, or a visitor without a session and a key, with the clients for pages and API."""

    api: Client
    pages: Client

    def at(self, interface: str) -> Client:
        return self.api if interface == "API" else self.pages


@dataclasses.dataclass(frozen=True)
class Cast:
    mine: Tenant
    """Alice's."""
    theirs: Tenant
    """Charlie's, the stranger's."""
    visitors: Mapping[str, Visitor]
