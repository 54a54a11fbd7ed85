"""Sweeps over the clusters: reconcile, and scale by load."""

from __future__ import annotations

from celery import shared_task

from clusters import autoscale, reconcile


@shared_task(name="vbase.sweep.clusters")
def sweep_clusters() -> int:
    """Observe every cluster and heal differences; answers how many changed."""
    return reconcile.reconcile_all()


@shared_task(name="vbase.sweep.load")
def sweep_load() -> int:
    """Measure the load of clusters that scale by it; answers how many steps were asked for."""
    return autoscale.autoscale_all()
