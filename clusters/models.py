from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from clusters.drivers import ATTACHED
from clusters.drivers.base import Connection
from clusters.states import UNFINISHED_STEPS, Condition, RolloutState, ServiceStatus, StepState
from vbase_console.core.addresses import normal_host
from vbase_console.core.encryption import decrypt, derived_key, encrypt
from vbase_console.core.ids import new_cluster_id, new_rollout_id, new_service_id
from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import TenantQuerySet

MAX_COMPUTE_UNITS = 64
NAME = RegexValidator(
    r"^[A-Za-z0-9._ -]{1,63}\Z",
    "Use 1 to 63 letters, digits, dots, underscores, spaces and dashes.",
)
UNITS = [MinValueValidator(1), MaxValueValidator(MAX_COMPUTE_UNITS)]


def configured_driver() -> str:
    name: str = settings.CLUSTER_DRIVER
    return name


class ClusterQuerySet(TenantQuerySet["Cluster"]):
    def alive(self) -> Self:
        return self.exclude(status=ServiceStatus.DELETED)

    def should_run(self) -> Self:
        """Clusters that are expected to answer: neither stopped nor being deleted."""
        return self.filter(wanted_running=True).exclude(
            status__in=[ServiceStatus.DELETING, ServiceStatus.DELETED]
        )

    def matching(self, text: str) -> Self:
        """Filter by a part of the name or by a complete id, for filters of other lists."""
        ids = Q(cluster_id=text) | Q(service_id=text)
        return self.filter(Q(name__icontains=text) | ids).order_by()

    def locked(self, cluster_id: str) -> Cluster:
        """Read the row and lock it until the transaction ends. Lock it before rows of its tasks,
        backups and policies, so that transactions cannot deadlock.
        """
        return self.select_for_update(of=("self",)).get(pk=cluster_id)


def server_mark(organization_id: uuid.UUID, host: str, port: int, token: str) -> str:
    """Return equal marks for equal servers and tokens in one organization only.

    The mark is keyed, so that a reader of the database cannot guess the token by it.
    """
    server = json.dumps([str(organization_id), normal_host(host), port, token])
    key = derived_key("attached server")
    return hmac.digest(key, server.encode(), hashlib.sha256).hex()


class Cluster(models.Model):
    """A dedicated Milvus, which is a service for its tenant.

    `condition` is the last observation, `wanted_running` the desired state. `status` is derived by
    `clusters.states.status_of` and stored, so that lists can filter by it.
    """

    cluster_id = models.CharField(primary_key=True, max_length=24, default=new_cluster_id)
    service_id = models.CharField(max_length=24, unique=True, default=new_service_id)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    name = models.CharField(max_length=63, validators=[NAME])
    labels = models.JSONField(default=dict, blank=True)
    deletion_protection = models.BooleanField(default=False)

    driver = models.CharField(max_length=40, default=configured_driver)
    """Name of the driver that created the cluster and performs all its changes."""
    version = models.CharField(max_length=40)
    compute_units = models.PositiveSmallIntegerField(default=1, validators=UNITS)
    enable_auto_scaling = models.BooleanField(default=False)
    max_compute_units = models.PositiveSmallIntegerField(default=1, validators=UNITS)
    autoscaled_units = models.PositiveSmallIntegerField(default=0)
    """Units chosen by autoscaling, above the requested ones; 0: none yet."""
    enable_replicas = models.BooleanField(default=False)
    replicas = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])

    status = models.CharField(
        max_length=16, choices=ServiceStatus.choices, default=ServiceStatus.CREATING
    )
    status_message = models.TextField(blank=True)
    condition = models.CharField(max_length=16, choices=Condition.choices, default=Condition.ABSENT)
    change_failed = models.BooleanField(default=False)
    wanted_running = models.BooleanField(default=True)
    host = models.CharField(max_length=253, blank=True)
    port = models.PositiveIntegerField(null=True)
    effective_cores = models.PositiveIntegerField(null=True)
    confinement = models.CharField(max_length=8, blank=True)
    """Level that the running process reports; empty if the driver does not confine clusters."""
    seen_at = models.DateTimeField(null=True)
    sealed_token = models.TextField()
    tls = models.BooleanField(default=False)
    """`tls` and `ca_certificate` belong to attached clusters, like a `host` that users give."""
    ca_certificate = models.TextField(blank=True)
    server_mark = models.CharField(max_length=64, blank=True)
    """Keyed digest of organization, address and token of an attached cluster, so that the database
    refuses a second cluster for the same server. Empty for the console's own clusters.
    """
    observe_after = models.DateTimeField(null=True)
    """Time of the next observation of an attached cluster that does not answer. Null: now."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-cluster_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=~Q(status=ServiceStatus.DELETED),
                name="cluster_organization_name_unique",
            ),
            models.UniqueConstraint(
                fields=["server_mark"],
                condition=~Q(server_mark="") & ~Q(status=ServiceStatus.DELETED),
                name="cluster_attached_once",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ServiceStatus.values), name="cluster_status_check"
            ),
            models.CheckConstraint(
                condition=Q(compute_units__gte=1) & Q(compute_units__lte=MAX_COMPUTE_UNITS),
                name="cluster_compute_units_check",
            ),
            models.CheckConstraint(
                condition=Q(enable_auto_scaling=False)
                | Q(max_compute_units__gte=F("compute_units")),
                name="cluster_autoscaling_check",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "-created_at", "-cluster_id"], name="cluster_newest_first"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def drn(self) -> str:
        return f"drn:dodil:vbase:{self.service_id}"

    @property
    def lock(self) -> str:
        return f"cluster:{self.cluster_id}"

    @property
    def is_attached(self) -> bool:
        return self.driver == ATTACHED

    @property
    def connection(self) -> Connection:
        """Connection of an attached cluster. Its parts are stored together, so that the token is
        sent to no other address than the one that it was given for.
        """
        return Connection(
            host=self.host,
            port=self.port or 0,
            tls=self.tls,
            ca_certificate=self.ca_certificate,
            token=self.token,
        )

    @connection.setter
    def connection(self, given: Connection) -> None:
        self.host, self.port, self.tls = given.host, given.port, given.tls
        self.ca_certificate, self.token = given.ca_certificate, given.token
        self.server_mark = server_mark(self.organization_id, given.host, given.port, given.token)

    @property
    def token(self) -> str:
        return decrypt(self.sealed_token)

    @token.setter
    def token(self, text: str) -> None:
        self.sealed_token = encrypt(text)


class KeptCopy(models.Model):
    """Copy of a cluster's data from before its last upgrade. It exists in the driver."""

    cluster = models.OneToOneField(Cluster, on_delete=models.CASCADE, related_name="kept_copy")
    version = models.CharField(max_length=40)
    size_bytes = models.PositiveBigIntegerField()
    answers = models.JSONField()
    """Sampled answers of that version, to compare with after going back."""
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    removing = models.BooleanField(default=False)
    """True while a sweep removes the copy. Going back is refused from then on."""

    class Meta:
        verbose_name_plural = "kept copies"

    def __str__(self) -> str:
        return f"{self.cluster_id}: {self.version}"


class RolloutQuerySet(TenantQuerySet["Rollout"]):
    def unfinished(self) -> Self:
        return self.filter(state=RolloutState.RUNNING)

    def with_counts(self) -> Self:
        """Add the numbers of all steps and of those that succeeded."""
        steps = RolloutStep.objects.filter(rollout=OuterRef("pk")).order_by().values("rollout")
        succeeded = steps.filter(state=StepState.SUCCEEDED)
        return self.annotate(
            step_count=Coalesce(Subquery(steps.values(count=Count("*"))), 0),
            succeeded_count=Coalesce(Subquery(succeeded.values(count=Count("*"))), 0),
        )

    def locked(self, rollout_id: str) -> Rollout:
        """Read the row and lock it until the transaction ends. Lock a cluster before it."""
        return self.select_for_update(of=("self",)).get(pk=rollout_id)


class Rollout(models.Model):
    """Upgrade of several clusters to one version, one at a time, until the first failure."""

    rollout_id = models.CharField(primary_key=True, max_length=24, default=new_rollout_id)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    version = models.CharField(max_length=40)
    backup_first = models.BooleanField(default=True)
    state = models.CharField(
        max_length=16, choices=RolloutState.choices, default=RolloutState.RUNNING
    )
    """Derived by `clusters.states.rollout_state_of` and stored, so that lists can filter by it."""
    requested_by = models.CharField(max_length=254, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)

    objects = RolloutQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-rollout_id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=RolloutState.values), name="rollout_state_check"
            ),
            models.CheckConstraint(
                condition=Q(state=RolloutState.RUNNING, finished_at=None)
                | (~Q(state=RolloutState.RUNNING) & Q(finished_at__isnull=False)),
                name="rollout_finished_check",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "-created_at", "-rollout_id"], name="rollout_newest_first"
            ),
            models.Index(
                fields=["created_at"],
                condition=Q(state=RolloutState.RUNNING),
                name="rollout_unfinished",
            ),
        ]

    def __str__(self) -> str:
        return self.rollout_id


class RolloutStep(models.Model):
    """One cluster of a rollout. Its upgrade is the task `task_id`."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    """From 1."""
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="rollout_steps")
    from_version = models.CharField(max_length=40)
    state = models.CharField(max_length=16, choices=StepState.choices, default=StepState.WAITING)
    task_id = models.CharField(max_length=40, blank=True)
    message = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["rollout", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["rollout", "position"], name="rollout_step_position_unique"
            ),
            models.UniqueConstraint(
                fields=["rollout"],
                condition=Q(state=StepState.RUNNING),
                name="rollout_step_running_unique",
            ),
            models.UniqueConstraint(
                fields=["cluster"],
                condition=Q(state__in=UNFINISHED_STEPS),
                name="rollout_step_cluster_unique",
            ),
            models.UniqueConstraint(
                fields=["task_id"], condition=~Q(task_id=""), name="rollout_step_task_unique"
            ),
            models.CheckConstraint(
                condition=Q(state__in=StepState.values), name="rollout_step_state_check"
            ),
            models.CheckConstraint(
                condition=~Q(state=StepState.RUNNING) | ~Q(task_id=""),
                name="rollout_step_task_check",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rollout_id} {self.position}: {self.cluster_id}"


class ClusterDay(models.Model):
    """Seconds of one day (UTC) for which a cluster was observed, by what was observed.

    `availability` adds them. The rest of the day was not observed.
    """

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    available_seconds = models.FloatField(default=0)
    interrupted_seconds = models.FloatField(default=0)
    """The cluster should have answered and did not."""
    stopped_seconds = models.FloatField(default=0)
    """Stopped on purpose."""
    counted_until = models.DateTimeField()
    """Time of the last observation of the day that was counted."""
    cause = models.CharField(max_length=200, blank=True)
    """Reason of the last interruption."""

    class Meta:
        ordering = ["day"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "day"], name="cluster_day_unique")
        ]
        indexes = [models.Index(fields=["day"], name="cluster_day_age")]

    def __str__(self) -> str:
        return f"{self.cluster_id} on {self.day}"


class LoadSample(models.Model):
    """CPU seconds that a cluster had used, and its cores at that time, for autoscaling."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="load_samples")
    at = models.DateTimeField()
    cpu_seconds = models.FloatField()
    cores = models.PositiveIntegerField()

    class Meta:
        ordering = ["at"]
        indexes = [models.Index(fields=["cluster", "at"], name="load_by_cluster")]

    def __str__(self) -> str:
        return f"{self.cluster_id} at {self.at}: {self.cpu_seconds} s"


class MetricSample(models.Model):
    """Measurements of a cluster in one minute, or their means over one hour. Null: not measured."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="metric_samples")
    period_seconds = models.PositiveIntegerField()
    """60 or 3600."""
    at = models.DateTimeField()
    """Begin of the period."""
    measured_at = models.DateTimeField(null=True)
    cpu_seconds = models.FloatField(null=True)
    """Counter of the process, for the rate of the next minute. Null in hours, like `requests`."""
    requests = models.BigIntegerField(null=True)
    cpu_cores = models.FloatField(null=True)
    memory_bytes = models.BigIntegerField(null=True)
    rows = models.BigIntegerField(null=True)
    disk_bytes = models.BigIntegerField(null=True)
    requests_per_second = models.FloatField(null=True)

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(
                fields=["cluster", "period_seconds", "at"], name="metric_sample_unique"
            )
        ]
        indexes = [models.Index(fields=["period_seconds", "at"], name="metric_by_age")]

    def __str__(self) -> str:
        return f"{self.cluster_id} at {self.at}, {self.period_seconds} s"
