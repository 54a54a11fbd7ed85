from __future__ import annotations

from datetime import datetime
from typing import Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone as clock

from backups.names import DEFAULT_DATABASE
from backups.policies.states import MAX_RETENTION_COUNT, SKIPPED, OnMissing
from backups.policies.validation import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    SPEC_FIELDS,
    PolicySpec,
)
from clusters.models import Cluster
from vbase_console.core.ids import new_id
from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import TenantQuerySet
from vbase_console.tasks.states import ACTIVE, FINISHED

POLICY_ID_PREFIX = "pol"


def new_policy_id() -> str:
    return new_id(POLICY_ID_PREFIX)


class PolicyQuerySet(TenantQuerySet["BackupPolicy"]):
    def due(self, now: datetime) -> Self:
        """Filter to policies whose run should have started. Paused policies plan none."""
        return self.of_real_organizations().filter(next_run_at__lte=now)

    def with_last_run(self) -> Self:
        """Load the rows that `last_run_at` and `last_status` read."""
        return self.select_related("cluster", "last_run__job__task")

    def with_ended_run(self) -> Self:
        """Annotate `ended_run_id`, the newest finished run, which decides the health."""
        ended = PolicyRun.objects.filter(policy=OuterRef("pk")).ended()
        newest_first = ended.order_by("-planned_at", "-pk").values("pk")
        return self.annotate(ended_run_id=Subquery(newest_first[:1]))


class BackupPolicy(models.Model):
    """Schedule, target and retention. The expression as given decides; beat has a copy.

    Backups refer to their policy by text, because they outlive the policy.
    """

    policy_id = models.CharField(primary_key=True, max_length=24, default=new_policy_id)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="policies")
    name = models.CharField(max_length=MAX_NAME_LENGTH)
    description = models.CharField(max_length=MAX_DESCRIPTION_LENGTH, blank=True, default="")
    schedule_cron = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC")
    retention_count = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(MAX_RETENTION_COUNT)]
    )
    is_active = models.BooleanField(default=True)
    db_name = models.CharField(max_length=255, default=DEFAULT_DATABASE)
    collection_names = models.JSONField(default=list)
    """Empty: every collection at run time."""
    on_missing = models.CharField(max_length=8, choices=OnMissing.choices, default=OnMissing.FAIL)
    include_access_control = models.BooleanField(default=False)
    next_run_at = models.DateTimeField(null=True)
    last_run = models.ForeignKey(
        "policies.PolicyRun", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    complete_backup_count = models.PositiveIntegerField(default=0)
    newest_complete_backup_at = models.DateTimeField(null=True)
    """Kept figures of the policy's complete backups, for lists. `kept_figures` recounts them in the
    transaction that changes such a backup.
    """
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PolicyQuerySet.as_manager()

    class Meta:
        verbose_name = "backup policy"
        verbose_name_plural = "backup policies"
        ordering = ["-created_at", "-policy_id"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "name"], name="policy_cluster_name_unique"),
            models.CheckConstraint(condition=~Q(name=""), name="policy_name_check"),
            models.CheckConstraint(
                condition=Q(retention_count__gte=1) & Q(retention_count__lte=MAX_RETENTION_COUNT),
                name="policy_retention_count_check",
            ),
            models.CheckConstraint(
                condition=Q(is_active=True) | Q(next_run_at=None),
                name="policy_paused_without_next_run_check",
            ),
            models.CheckConstraint(
                condition=Q(is_active=False) | Q(next_run_at__isnull=False),
                name="policy_active_next_run_check",
            ),
            models.CheckConstraint(
                condition=Q(on_missing__in=OnMissing.values), name="policy_on_missing_check"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_run_at"],
                condition=Q(next_run_at__isnull=False),
                name="policy_due",
            ),
            models.Index(
                fields=["organization", "-created_at", "-policy_id"], name="policy_newest_first"
            ),
            models.Index(fields=["cluster", "-created_at"], name="policy_by_cluster"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.policy_id})"

    @property
    def spec(self) -> PolicySpec:
        return PolicySpec(**{name: getattr(self, name) for name in SPEC_FIELDS})

    @property
    def last_run_at(self) -> datetime | None:
        return self.last_run.created_at if self.last_run else None

    @property
    def last_status(self) -> str | None:
        return self.last_run.status if self.last_run else None


class PolicyRunQuerySet(TenantQuerySet["PolicyRun"]):
    def retention_pending(self) -> Self:
        """Filter to runs after which retention was not applied, running ones included."""
        return self.filter(retention_applied_at=None)

    def ended(self) -> Self:
        """Filter to finished runs. Skipped runs are finished."""
        return self.exclude(job__task__state__in=ACTIVE)

    def in_progress(self) -> Self:
        return self.retention_pending().filter(job__task__state__in=ACTIVE)

    def active_job_id(self, policy_id: str) -> str:
        """Job id of the unfinished run, or an empty text."""
        active = self.in_progress().filter(policy=policy_id).order_by()
        return next(iter(active.values_list("job__task__task_id", flat=True)[:1]), "")

    def request_retention(self, policy_id: str) -> int:
        """Request retention without a new run, by marking the newest run that has a job."""
        newest = self.filter(policy=policy_id, job__isnull=False).values_list("pk", flat=True)[:1]
        return self.filter(pk__in=list(newest)).update(
            retention_applied_at=None, retention_requested_at=clock.now()
        )

    def retention_overdue(self) -> Self:
        """Filter to finished runs that wait for retention, annotated with `waits_since`."""
        pending = self.retention_pending().of_real_organizations()
        ended = pending.filter(job__task__state__in=FINISHED)
        end = F("job__task__finished_at")
        return ended.annotate(waits_since=Greatest(Coalesce("retention_requested_at", end), end))

    def prunable(self) -> Self:
        """Exclude the last run of each policy, and its last run with a job.

        The first decides the health, the second requests retention.
        """
        shown = Exists(BackupPolicy.objects.filter(last_run=OuterRef("pk")))
        own = PolicyRun.objects.filter(policy=OuterRef("policy"), job__isnull=False)
        newer = Exists(own.filter(planned_at__gt=OuterRef("planned_at")))
        return self.filter(~shown, Q(job=None) | newer)


class PolicyRun(models.Model):
    """One firing of a policy: a backup job, or the reason why it was skipped."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False)
    """Without an index, so that SQLite finds the runs of a policy by the policy."""
    policy = models.ForeignKey(BackupPolicy, on_delete=models.CASCADE, related_name="runs")
    planned_at = models.DateTimeField()
    job = models.OneToOneField(
        "backups.BackupJob", null=True, on_delete=models.PROTECT, related_name="policy_run"
    )
    skip_reason = models.TextField(blank=True)
    is_catch_up = models.BooleanField(default=False)
    """True if the run replaces runs missed during downtime."""
    is_manual = models.BooleanField(default=False)
    """True if a person or an API key started the run."""
    created_at = models.DateTimeField(default=clock.now, editable=False)
    retention_applied_at = models.DateTimeField(null=True)
    retention_requested_at = models.DateTimeField(null=True)
    """Time of a further request: a lower count, or a backup that was unpinned or released."""

    objects = PolicyRunQuerySet.as_manager()

    class Meta:
        ordering = ["-planned_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "planned_at"], name="run_policy_planned_at_unique"
            ),
            models.CheckConstraint(
                condition=Q(job__isnull=False) | ~Q(skip_reason=""),
                name="run_job_or_skip_reason_check",
            ),
        ]
        indexes = [
            models.Index(
                fields=["policy"],
                condition=Q(retention_applied_at__isnull=True),
                name="run_retention_pending_idx",
            ),
            models.Index(fields=["created_at"], name="run_age"),
            models.Index(fields=["-planned_at", "-id"], name="run_newest_first"),
        ]

    def __str__(self) -> str:
        return f"{self.planned_at:%Y-%m-%d %H:%M} UTC"

    @property
    def status(self) -> str:
        """SKIPPED, or the state of the job's task."""
        if self.skip_reason or self.job is None:
            return SKIPPED
        return str(self.job.task.state)


class PolicyDay(models.Model):
    """Outcomes of a policy's runs on one day of its time zone, for the protection calendar.

    `days` recounts the row in the transaction that ends or skips a run.
    """

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    policy = models.ForeignKey(BackupPolicy, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    good = models.PositiveIntegerField(default=0)
    late = models.PositiveIntegerField(default=0)
    """Complete backups of runs that replace missed ones."""
    failed = models.PositiveIntegerField(default=0)
    """Failed, cancelled, damaged and incomplete ones."""
    skipped = models.PositiveIntegerField(default=0)
    has_gap = models.BooleanField(default=False)
    """True if a planned run was not started on this day, because the console was down."""

    objects = TenantQuerySet["PolicyDay"].as_manager()

    class Meta:
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["policy", "day"], name="policy_day_unique")]
        indexes = [models.Index(fields=["day"], name="policy_day_age")]

    def __str__(self) -> str:
        return f"{self.policy_id} on {self.day}"

    @property
    def outcome(self) -> str:
        """Worst outcome of the day."""
        if self.failed:
            return "failed"
        if self.skipped or self.has_gap:
            return "missed"
        if self.late:
            return "late"
        return "good" if self.good else "none"
