from __future__ import annotations

from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    name = "backups.policies"
    label = "policies"

    def ready(self) -> None:
        from backups import observers
        from backups.policies import days, kept_figures, runs, services
        from backups.policies.dispatch import overdue_since
        from backups.policies.models import PolicyRun
        from backups.policies.views import presenters
        from vbase_console.core import overdue

        overdue.register(overdue_since)
        observers.job_finished.register(kept_figures.recount_after_job)
        observers.backup_damaged.register(kept_figures.recount_of)
        observers.backup_deleting.register(kept_figures.recount_of)
        observers.job_finished.register(days.recount_after_job)
        observers.backup_damaged.register(days.recount_of)
        observers.job_retried.register(runs.continue_run)
        observers.nothing_to_back_up.register(runs.record_nothing_to_back_up)
        observers.backup_unpinned.register(runs.request_retention_of)
        observers.cluster_deleting.register(services.deactivate_policies_of)
        observers.active_run_of.register(PolicyRun.objects.active_job_id)
        observers.policy_summary_of.register(services.summary_of)
        observers.policy_of.register(presenters.policy_of)
        observers.retention_status_of.register(presenters.retention_status_of)
