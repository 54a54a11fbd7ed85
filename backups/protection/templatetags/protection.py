"""How protection reads on pages."""

from __future__ import annotations

from django import template

from backups.policies.models import BackupPolicy
from backups.policies.views.presenters import words_of

register = template.Library()


@register.filter
def words_of_policy(policy: BackupPolicy) -> str:
    """Its schedule, in words."""
    return words_of(policy)
