from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from backups.models import Backup
from vbase_console.web.templatetags.console import badge

register = template.Library()


@register.simple_tag
def backup_badge(backup: Backup) -> SafeString:
    """Badge of the status, or of the damage."""
    return badge("DAMAGED" if backup.is_damaged else backup.status)
