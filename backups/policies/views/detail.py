from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from backups.policies.days import zone_of_policy
from backups.policies.models import BackupPolicy
from backups.policies.runs import skip_reason
from backups.policies.views.pictures import (
    projection_of,
    retention_timeline_of,
    run_charts_of,
)
from backups.policies.views.presenters import (
    BackupWithDecision,
    backups_with_decisions,
    listed_policies,
    longest_overdue_retention,
    policy_actions_of,
    policy_rows,
    runs_of,
    upcoming_of,
)
from backups.views.presenters import job_rows
from vbase_console.organizations.scopes import LIST_BACKUPS
from vbase_console.web.views import Page

RECENT_COUNT = 10
MAX_AHEAD = timedelta(days=3660)


class PolicyPage(Page):
    scopes = {"GET": LIST_BACKUPS}
    nav = "policies"

    @cached_property
    def policy(self) -> BackupPolicy:
        policies = listed_policies(self.principal)
        return policies.get_visible(self.principal, policy_id=self.kwargs["policy_id"])

    def context(self) -> dict[str, Any]:
        cluster = self.policy.cluster
        return {"policy": self.policy, "cluster": cluster, "back": self.own_address}

    @property
    def own_address(self) -> str:
        return reverse("policy-detail", args=self.address)

    @property
    def address(self) -> list[str]:
        return [self.principal.organization_name, self.policy.policy_id]

    def to_policy(self) -> HttpResponseBase:
        return redirect(self.own_address)


class PolicyDetailView(PolicyPage):
    template_name = "policies/detail.html"

    def context(self) -> dict[str, Any]:
        return super().context() | self.live() | self.backups()

    def live(self) -> dict[str, Any]:
        runs = runs_of(self.principal).filter(policy=self.policy)
        in_progress = runs.in_progress().select_related("job__cluster")
        active = job_rows(self.principal, [run.job for run in in_progress if run.job])
        recent = list(runs[:RECENT_COUNT])
        row = policy_rows(self.principal, [self.policy])[0]
        return {
            "row": row,
            "charts": run_charts_of(row.strip),
            "active": active,
            "recent": recent,
            "retention_overdue": longest_overdue_retention(self.principal, policy=self.policy),
            "upcoming": upcoming_of(self.policy),
            "skip_reason": skip_reason(self.policy.cluster),
            "actions": policy_actions_of(self.principal, self.policy, is_running=bool(active)),
            "reload": bool(active),
        }

    def backups(self) -> dict[str, Any]:
        entries = backups_with_decisions(self.policy)
        return {
            "entries": entries[:RECENT_COUNT],
            "entry_count": len(entries),
            "timeline": retention_timeline_of(entries, timezone.now()),
            **self.projection(entries),
        }

    def projection(self, entries: Sequence[BackupWithDecision]) -> dict[str, Any]:
        """Answer which backups there will be at the end of the day `on`."""
        now, given = timezone.now(), self.request.GET.get("on", "")
        try:
            day = date.fromisoformat(given)
        except ValueError:
            return {"on": None}
        complete = [
            entry.backup.created_at
            for entry in entries
            if not (entry.backup.omissions or entry.backup.is_damaged)
        ]
        at = datetime.combine(day, time.max, tzinfo=zone_of_policy(self.policy))
        at = min(max(at, now), now + MAX_AHEAD)
        return {
            "on": at.date(),
            "until": at,
            "projection": projection_of(self.policy, complete, now=now, at=at),
        }
