from __future__ import annotations

from celery import shared_task

from clusters import autoscale, availability, kept_copies, metrics, reconcile, rollouts


@shared_task(name="vbase.sweep.clusters")
def sweep_clusters() -> int:
    """Observe every cluster and heal differences. Returns the number of changed clusters."""
    return reconcile.reconcile_all()


@shared_task(name="vbase.sweep.copies")
def sweep_copies() -> int:
    """Remove copies from before upgrades after their time. Returns the number of removed copies."""
    return kept_copies.remove_expired()


@shared_task(name="vbase.sweep.load")
def sweep_load() -> int:
    """Measure load and autoscale. Returns the number of requested steps."""
    return autoscale.autoscale_all()


@shared_task(name="vbase.sweep.metrics")
def sweep_metrics() -> int:
    """Store a sample of every running cluster, and remove days of clusters after their time.

    Returns the number of samples.
    """
    availability.remove_old()
    return metrics.measure_all()


@shared_task(name="vbase.sweep.rollouts")
def sweep_rollouts() -> int:
    """Begin the due steps of rollouts. Returns the number of unfinished rollouts."""
    return rollouts.advance_all()
