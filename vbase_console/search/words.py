"""Words of names: kept with the objects, and looked up by their prefixes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from backups.models import Backup
from backups.policies.models import POLICY_ID_PREFIX, BackupPolicy
from backups.protection.models import KnownCollectionQuerySet
from backups.states import BACKUP_ID_PREFIX
from clusters.models import Cluster
from vbase_console.core.ids import CLUSTER_ID_PREFIX
from vbase_console.core.prefixes import with_prefix
from vbase_console.organizations.tenancy import TenantQuerySet
from vbase_console.search.models import (
    MAX_COLLECTION_WORD_LENGTH,
    MAX_WORD_LENGTH,
    CollectionWord,
    SearchWord,
)

ID_PREFIXES: dict[type[Model], str] = {
    Cluster: f"{CLUSTER_ID_PREFIX}-",
    Backup: f"{BACKUP_ID_PREFIX}-",
    BackupPolicy: f"{POLICY_ID_PREFIX}-",
}
NAMED = tuple(ID_PREFIXES)
WORD = re.compile(r"\w+")
BATCH_SIZE = 500
MAX_WORDS = 5
"""Words of a text that a name must have. Further words are ignored."""
MAX_READ = 1_000
"""Limit of words that are read for a prefix. A prefix with fewer words finds all of its objects."""
NEWEST_CHECKED = 1_000
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

    def ids_of(self, model: type[Model]) -> set[Any]:
        """Return the ids of one kind, as far as an id names its kind."""
        start = ID_PREFIXES.get(model)
        return {pk for pk in self.ids if pk.startswith(start)} if start else self.ids


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
        found: dict[Any, Any] = {}
        for matching in (rows.filter(exact), *self._by_name(rows, checks_newest)):
            found |= {row.pk: row for row in matching[:limit]}
            if len(found) >= limit:
                break
        return list(found.values())[:limit]

    def _by_name(self, rows: QuerySet[Any], checks_newest: bool) -> Iterator[QuerySet[Any]]:
        if not self._prefixes:
            return
        matches = self._of_backups if rows.model is Backup else self._of_objects
        if checks_newest and not matches.is_complete:
            newest = Q(pk__in=rows.values("pk")[:NEWEST_CHECKED])
            yield rows.filter(newest & self._having(self._prefixes))
        others = [prefix for prefix in self._prefixes if prefix != matches.prefix]
        ids = matches.ids_of(rows.model)
        yield _ordered_without_index(rows).filter(Q(pk__in=ids) & self._having(others))

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
        return self._read(self._words.filter(object_id__startswith=ID_PREFIXES[Backup]))

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


def _ordered_without_index(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Sort few rows by expressions. SQLite would read an index of the order through all rows, until
    it has met enough of the few.
    """
    terms = []
    for name in map(str, rows.query.order_by or rows.model._meta.ordering):
        column = F(name.removeprefix("-"))
        value = Coalesce(column, column)
        terms.append(value.desc() if name.startswith("-") else value.asc())
    return rows.order_by(*terms)
