"""Words of names: kept with the objects, and looked up by their prefixes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.protection.models import KnownCollectionQuerySet
from backups.states import BACKUP_ID_PREFIX
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
MAX_WORDS = 5
"""Words of a text that a name must have. Further words are ignored."""
FEW = 100
"""So many objects with a word are read by their ids. Of a more common word the newest are found
first.
"""


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


class NameSearch:
    """Objects whose names have a word for each prefix of a text.

    The ids of the objects with a rare word are read first, because no database finds both a rare
    and a common word fast with one statement: for the one it would read all objects, for the other
    all words.
    """

    def __init__(self, text: str, words: QuerySet[SearchWord]) -> None:
        self._prefixes = sorted(words_of(text), key=len, reverse=True)[:MAX_WORDS]
        self._words = words

    def find(self, rows: QuerySet[Any], exact: Q, limit: int) -> list[Any]:
        """Return the first rows that match exactly or by their names."""
        if not self._prefixes:
            return list(rows.filter(exact)[:limit])
        few = self._few_backups if rows.model is Backup else self._few_objects
        if few is not None:
            return list(rows.filter(exact | Q(pk__in=few) & self._has_all))[:limit]
        found = list(rows.filter(exact)[:limit])
        others = rows.filter(self._has_all).exclude(pk__in=[row.pk for row in found])
        return [*found, *others[: limit - len(found)]]

    @cached_property
    def _has_all(self) -> Q:
        having = self._words.filter(object_id=OuterRef("pk"))
        conditions = Q()
        for prefix in self._prefixes:
            conditions &= Q(Exists(with_prefix(having, "word", prefix)))
        return conditions

    @cached_property
    def _few_objects(self) -> set[str] | None:
        return self._ids_with_a_rare_word(self._words)

    @cached_property
    def _few_backups(self) -> set[str] | None:
        """Backups alone, if other objects have common words."""
        if self._few_objects is not None:
            return self._few_objects
        return self._ids_with_a_rare_word(
            self._words.filter(object_id__startswith=f"{BACKUP_ID_PREFIX}-")
        )

    def _ids_with_a_rare_word(self, words: QuerySet[SearchWord]) -> set[str] | None:
        """Return the ids of all objects with one of the prefixes. None if each is common."""
        for prefix in self._prefixes:
            matching = with_prefix(words, "word", prefix).order_by()
            ids = matching.values_list("object_id", flat=True)[: FEW + 1]
            if len(ids) <= FEW:
                return set(ids)
        return None
