from __future__ import annotations

from django.db import models

from backups.protection.models import KnownCollection
from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import TenantQuerySet

MAX_WORD_LENGTH = 63
MAX_COLLECTION_WORD_LENGTH = 256


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


class CollectionWord(models.Model):
    """Word of the name of a known collection, or `=` and its whole name, in lower case. Deleted
    with the collection.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, db_index=False)
    word = models.CharField(max_length=MAX_COLLECTION_WORD_LENGTH)
    collection = models.ForeignKey(
        KnownCollection, on_delete=models.CASCADE, related_name="words", db_index=False
    )

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ["word"]
        constraints = [
            models.UniqueConstraint(
                fields=["collection", "word"], name="collection_word_collection_word_unique"
            )
        ]
        indexes = [
            models.Index(
                fields=["organization", "word"],
                opclasses=["uuid_ops", "varchar_pattern_ops"],
                name="collection_by_prefix",
            )
        ]

    def __str__(self) -> str:
        return f"{self.word} of {self.collection_id}"
