"""Words of names: kept with the objects, and looked up by their prefixes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.db.models import Model

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.protection.models import KnownCollectionQuerySet
from clusters.models import Cluster
from vbase_console.core.prefixes import with_prefix
from vbase_console.organizations.tenancy import TenantQuerySet
from vbase_console.search.models import (
    MAX_COLLECTION_WORD_LENGTH,
    MAX_WORD_LENGTH,
    CollectionWord,
    SearchWord,
)

NAMED: tuple[type[Model], ...] = (Cluster, Backup, BackupPolicy)
WORD = re.compile(r"\w+")
BATCH_SIZE = 500


def words_of(text: str) -> set[str]:
    """Return the words of a name. Dots, dashes, underscores and spaces divide words."""
    parts = WORD.findall(text.replace("_", " ").casefold())
    return {part[:MAX_WORD_LENGTH] for part in parts}


def index_saved(
    instance: Any, created: bool, update_fields: Iterable[str] | None = None, **_: Any
) -> None:
    """Receiver of `post_save`."""
    if created:
        index_names([instance])
        return
    if update_fields is not None and "name" not in update_fields:
        return
    known = SearchWord.objects.filter(object_id=instance.pk)
    words, stored = words_of(instance.name), set(known.values_list("word", flat=True))
    if words != stored:
        known.exclude(word__in=words).delete()
        index_names([instance])


def remove_deleted(instance: Any, **_: Any) -> None:
    """Receiver of `post_delete`."""
    SearchWord.objects.filter(object_id=instance.pk).delete()


def index_names(objects: Iterable[Any]) -> None:
    """Store the words of saved objects, also of those that were inserted without a signal."""
    SearchWord.objects.bulk_create(
        (
            SearchWord(organization_id=named.organization_id, word=word, object_id=named.pk)
            for named in objects
            for word in sorted(words_of(named.name))
        ),
        batch_size=BATCH_SIZE,
        ignore_conflicts=True,
    )


def whole_name(text: str) -> str:
    """Return the word that stands for a whole name. No other word begins with `=`."""
    return f"={text.casefold()}"[:MAX_COLLECTION_WORD_LENGTH]


def index_collections(known: KnownCollectionQuerySet) -> None:
    """Store the words of those known collections that have none yet."""
    new = known.filter(words=None).order_by()
    CollectionWord.objects.bulk_create(
        (
            CollectionWord(organization_id=organization_id, collection_id=pk, word=word)
            for pk, organization_id, name in new.values_list("pk", "organization_id", "name")
            for word in sorted(words_of(name) | {whole_name(name)})
        ),
        batch_size=BATCH_SIZE,
        ignore_conflicts=True,
    )


def beginning_with(prefix: str) -> TenantQuerySet[SearchWord]:
    return with_prefix(SearchWord.objects.all(), "word", prefix)
