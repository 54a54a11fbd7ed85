from __future__ import annotations

from django.db import models

from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import TenantQuerySet

MAX_WORD_LENGTH = 63


class SearchWord(models.Model):
    """Word of the name of an object, in lower case. Written in the transaction that saves it."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, db_index=False)
    word = models.CharField(max_length=MAX_WORD_LENGTH)
    object_id = models.CharField(max_length=40)
    """Primary key of a cluster, backup or policy. Their prefixes differ."""

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ["word"]
        constraints = [
            models.UniqueConstraint(fields=["object_id", "word"], name="search_word_unique")
        ]
        indexes = [
            models.Index(
                fields=["organization", "word"],
                opclasses=["uuid_ops", "varchar_pattern_ops"],
                name="search_by_prefix",
            )
        ]

    def __str__(self) -> str:
        return f"{self.word} of {self.object_id}"
