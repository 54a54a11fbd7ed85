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
from backups.policies.outcomes import cell_class, run_summary, why_of
from backups.policies.retention import RetentionDecision

register = template.Library()
register.filter(run_summary)
register.filter(why_of)

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


def health_badge(name: str) -> SafeString:
    """Render the health of a policy for the admin."""
    return format_html(
        '<span class="badge badge-{}">{}</span>', health_tone(name), health_words(name)
    )


@register.filter
def reason(decision: RetentionDecision) -> str:
    """Return the reason without the leading word, which the badge shows."""
    return decision.reason.partition(": ")[2]
