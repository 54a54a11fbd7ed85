from __future__ import annotations

from django import template

from backups.policies.models import BackupPolicy
from backups.policies.views.presenters import words_of

register = template.Library()


@register.filter
def words_of_policy(policy: BackupPolicy) -> str:
    return words_of(policy)
