from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from vbase_console.organizations.models import Organization


class IdempotentAnswer(models.Model):
    """Kept answer to a request with an `Idempotency-Key`."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=500)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    """SHA-256 of the parsed query and body."""
    status = models.PositiveSmallIntegerField(null=True)
    """None while the first request is in progress."""
    headers = models.JSONField(default=dict)
    body = models.JSONField(null=True)
    scopes = models.JSONField(default=list)
    """Scopes beside the operation's own, which a repeated request needs, too."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "method", "path", "key"],
                name="answer_organization_key_unique",
            )
        ]
        indexes = [models.Index(fields=["created_at"], name="answer_age")]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.key}"


def oldest_kept() -> datetime:
    return timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS)
