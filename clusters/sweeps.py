"""Celery sweeps over the clusters: reconcile, autoscale and measure."""

from __future__ import annotations

from celery import shared_task

from clusters import autoscale, metrics, reconcile


@shared_task(name="vbase.sweep.clusters")
def sweep_clusters() -> int:
    """Observe every cluster and heal differences. Returns the number of changed clusters."""
    return reconcile.reconcile_all()


@shared_task(name="vbase.sweep.load")
def sweep_load() -> int:
    """Measure load and autoscale. Returns the number of requested steps."""
    return autoscale.autoscale_all()


@shared_task(name="vbase.sweep.metrics")
def sweep_metrics() -> int:
    """Store a sample of every running cluster. Returns their number."""
    return metrics.measure_all()
