from __future__ import annotations

from django.apps import AppConfig


class ProtectionConfig(AppConfig):
    name = "backups.protection"
    label = "protection"

    def ready(self) -> None:
        from backups import observers
        from backups.policies import observers as policy_observers
        from backups.protection import coverage, inventory, presenters

        observers.job_finished.register(inventory.on_job_finished)
        observers.backup_damaged.register(coverage.update_coverage_of)
        observers.backup_deleting.register(coverage.update_coverage_without)
        observers.collections_seen.register(inventory.record_listing)
        observers.coverage_figures_of.register(presenters.figures_of_cluster)
        observers.known_collections_of.register(presenters.collections_by_database)
        policy_observers.policy_changed.register(coverage.update_coverage)
        policy_observers.coverage_lost.register(coverage.collections_losing_coverage)
