"""Words of names: kept with the objects, and looked up by their prefixes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from functools import cached_property
from itertools import chain
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
MAX_READ = 2_000
"""Limit of words that are read for a prefix. A prefix with fewer words finds all of its objects."""
NEWEST_CHECKED = 2_000
"""Newest objects of a kind whose words are checked if each prefix of a text has more words."""


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrefixMatches:
    """Objects with one prefix of a text."""

    prefix: str
    ids: set[Any]
    is_complete: bool
    """False if the prefix has more words than were read."""


class NameSearch:
    """Objects whose names have a word for each prefix of a text, found with bounded work.

    The ids of the objects with a rare prefix are read first, because no database finds both a rare
    and a common word fast with one statement: for the one it would read all objects, for the other
    all words.
    """

    def __init__(self, text: str, words: QuerySet[Any], *, key: str = "object_id") -> None:
        """`key` is the column of `words` with the id of the object."""
        self._prefixes = sorted(words_of(text), key=len, reverse=True)[:MAX_WORDS]
        self._words = words.order_by()
        self._key = key

    def find(
        self, rows: QuerySet[Any], exact: Q, limit: int, *, checks_newest: bool = True
    ) -> list[Any]:
        """Return the first rows that match exactly, then the first ones that match by their names.
        `checks_newest`: an index has the order of the rows, so that the newest of many are found.
        """
        if not self._prefixes:
            return list(rows.filter(exact)[:limit])
        matches = self._of_backups if rows.model is Backup else self._of_objects
        others = [prefix for prefix in self._prefixes if prefix != matches.prefix]
        conditions = [exact, Q(pk__in=matches.ids) & self._having(others)]
        if checks_newest and not matches.is_complete:
            newest = Q(pk__in=rows.values("pk")[:NEWEST_CHECKED])
            conditions.insert(1, newest & self._having(self._prefixes))
        found = chain.from_iterable(rows.filter(condition)[:limit] for condition in conditions)
        return list({row.pk: row for row in found}.values())[:limit]

    def _having(self, prefixes: Iterable[str]) -> Q:
        words = self._words.filter(**{self._key: OuterRef("pk")})
        conditions = Q()
        for prefix in prefixes:
            conditions &= Q(Exists(with_prefix(words, "word", prefix)))
        return conditions

    @cached_property
    def _of_objects(self) -> PrefixMatches:
        return self._read(self._words)

    @cached_property
    def _of_backups(self) -> PrefixMatches:
        """Backups alone, if each prefix has too many words of all objects."""
        if self._of_objects.is_complete:
            return self._of_objects
        return self._read(self._words.filter(object_id__startswith=f"{BACKUP_ID_PREFIX}-"))

    def _read(self, words: QuerySet[Any]) -> PrefixMatches:
        """Read a prefix with few words, or the first words of the longest prefix."""
        common = []
        for prefix in self._prefixes:
            rows = with_prefix(words, "word", prefix).values_list(self._key, flat=True)
            ids = list(rows[:MAX_READ])
            if len(ids) < MAX_READ:
                return PrefixMatches(prefix=prefix, ids=set(ids), is_complete=True)
            common.append(PrefixMatches(prefix=prefix, ids=set(ids), is_complete=False))
        return common[0]
