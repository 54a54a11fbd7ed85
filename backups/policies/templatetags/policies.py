from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from backups.policies.cron import BadZone, zone_of
from backups.policies.health import PolicyHealth
from backups.policies.models import PolicyRun
from backups.policies.retention import RetentionDecision
from backups.policies.states import SKIPPED
from vbase_console.web.wording import readable

register = template.Library()

CELL_CLASSES = {"SUCCEEDED": "good", "FAILED": "bad", "CANCELLED": "still", SKIPPED: "skipped"}
"""Colour of a cell in the strip of runs; any other run is in progress."""

CELL = (
    '<li class="run run-{}"><a{} href="{}" title="{}">'
    '<span class="visually-hidden">{}</span></a></li>'
)
NO_STOP = SafeString(' tabindex="-1"')
MAX_REASON_LENGTH = 300


@register.simple_tag
def cells(organization: str, runs: Sequence[PolicyRun], *, quiet: bool = False) -> SafeString:
    """Render the cells of a strip. A template would be slow: a page has up to 1,500 cells.

    The Tab key skips `quiet` cells.
    """
    jobs = reverse("job-detail", args=[organization, "-"]).removesuffix("-")
    texts = [Truncator(run_summary(run)).chars(MAX_REASON_LENGTH) for run in runs]
    rows = (
        (
            cell_class(run),
            # htmx keeps the focus by the id when the strip is swapped
            NO_STOP if quiet else format_html(' id="cell-{}"', run.pk),
            _address(run, organization, jobs),
            text,
            text,
        )
        for run, text in zip(runs, texts, strict=True)
    )
    return format_html_join("", CELL, rows)


def _address(run: PolicyRun, organization: str, jobs: str) -> str:
    if run.job is not None:
        return f"{jobs}{run.job.task.task_id}"
    return f"{reverse('policy-runs', args=[organization, run.policy_id])}#run-{run.pk}"


def cell_class(run: PolicyRun) -> str:
    if run.status == "SUCCEEDED" and run.job is not None:
        if run.job.backup.is_damaged:
            return "bad"
        if run.job.backup.omissions:
            return "incomplete"
    return CELL_CLASSES.get(run.status, "busy")


@register.filter
def run_summary(run: PolicyRun) -> str:
    """Describe a run in one line, for readers who cannot see its colour."""
    at = f"{run.planned_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    labels = (", manual" if run.is_manual else "") + (", catch-up" if run.is_catch_up else "")
    problem = why_of(run)
    return f"{run.status.capitalize()}, {at}{labels}{': ' if problem else ''}{problem}"


@register.filter
def why_of(run: PolicyRun) -> str:
    return readable(_problem_of(run))


def _problem_of(run: PolicyRun) -> str:
    if run.skip_reason or run.job is None:
        return run.skip_reason
    if run.status == "SUCCEEDED":
        backup = run.job.backup
        damage = [f"The backup is damaged: {backup.damage_text}."] if backup.is_damaged else []
        return " ".join([*damage, *backup.omissions])
    return run.job.task.message if run.status == "FAILED" else ""


@register.filter
def in_zone(at: datetime | None, zone: str) -> str:
    """Format an instant in the zone. The abbreviation shows daylight saving."""
    if at is None:
        return "—"
    try:
        local = at.astimezone(zone_of(zone))
    except BadZone:
        local = at.astimezone(UTC)
    return f"{local:%a %Y-%m-%d %H:%M %Z}"


@register.filter
def health_words(name: str) -> str:
    return str(PolicyHealth(name).label)


@register.filter
def health_tone(name: str) -> str:
    tones = {
        PolicyHealth.LATE: "bad",
        PolicyHealth.FAILING: "bad",
        PolicyHealth.DAMAGED: "bad",
        PolicyHealth.GOOD: "good",
        PolicyHealth.RUNNING: "busy",
    }
    warned = {PolicyHealth.INCOMPLETE, PolicyHealth.SKIPPED}
    return "warn" if name in warned else tones.get(PolicyHealth(name), "still")


@register.filter
def reason(decision: RetentionDecision) -> str:
    """Return the reason without the leading word, which the badge shows."""
    return decision.reason.partition(": ")[2]
