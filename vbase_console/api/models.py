from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from vbase_console.organizations.models import Organization


class IdempotentAnswer(models.Model):
    """The answer that was given to a request with an `Idempotency-Key`, given again to whoever
    repeats it.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=500)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    """SHA-256 of the parsed body."""
    status = models.PositiveSmallIntegerField(null=True)
    """None while the first request is still being answered."""
    headers = models.JSONField(default=dict)
    body = models.JSONField(null=True)
    scopes = models.JSONField(default=list)
    """What it took beside the operation's own scope; whoever repeats the request needs it, too."""
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
    """Answers that were given before this instant are past their time."""
    return timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS)
