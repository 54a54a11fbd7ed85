from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from backups.names import DEFAULT_DATABASE
from backups.policies.observers import CollectionKey
from backups.protection.models import KnownCollection
from clusters.states import ServiceStatus
from clusters.views.actions import ClusterChange
from clusters.views.detail import ClusterPage
from vbase_console.core.errors import ConsoleError, NotFound, PermissionDenied
from vbase_console.explorer import changes
from vbase_console.explorer.contents import ListedCollection, reading
from vbase_console.explorer.filters import CollectionFilter
from vbase_console.explorer.forms import CollectionForm, DatabaseForm, HiddenName
from vbase_console.explorer.preview import MAX_ROWS, describe_collection, first_rows
from vbase_console.organizations.scopes import GET_CLUSTER, GET_SERVICE_ACCESS
from vbase_console.web.csv_export import csv_response
from vbase_console.web.errors import status_of
from vbase_console.web.lists import PAGE_SIZE
from vbase_console.web.views import wants_fragment

if TYPE_CHECKING:
    from backups.archive.description import (
        IndexDescription,
    )

MAX_SUMMARY = 10
BECOMING_READABLE = (ServiceStatus.CREATING, ServiceStatus.UPDATING)
CSV_BATCH_SIZE = 50
EXPORT_FACTS_SECONDS = 30.0
"""Limit of one export for facts. Later collections have their names only."""
CSV_HEADINGS = (
    *("Database", "Collection", "Rows", "Bytes", "Load state"),
    *("Partitions", "Aliases", "Indexes", "Protection"),
)


class CollectionListView(ClusterPage):
    """Collections as the running server tells them. Without an answer of the server, the page shows
    the reason and the names that the last scan has found.
    """

    scopes = {"GET": GET_CLUSTER}
    template_name = "explorer/collection_list.html"
    table: ClassVar[str] = "explorer/partials/collection_table.html"
    page_size = PAGE_SIZE

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.filter_form = CollectionFilter(request.GET)
        if request.GET.get("export") == "csv":
            owner = self.principal.organization_name
            title = f"{owner} collections of {self.cluster.name}"
            return csv_response(owner, title, CSV_HEADINGS, self.csv_rows())
        context: dict[str, Any] = {"cluster": self.cluster, "filter": self.filter_form}
        context |= self.listed() | {"can_export": True}
        if wants_fragment(self.request):
            return self.fragment(self.table, **context)
        return self.page(**context)

    def listed(self) -> dict[str, Any]:
        try:
            with reading(self.cluster) as contents:
                if contents.client is None:
                    return self.known()
                rows = self.paged(self.filter_form.matching(contents.keys))
                collections: list[ListedCollection] = contents.read(list(rows.object_list))
                databases, total = contents.databases, len(contents.keys)
        except ConsoleError as error:
            return self.known() | {"problem": self.name_objects(error.message)}
        return {"rows": rows, "collections": collections, "databases": databases, "total": total}

    def known(self) -> dict[str, Any]:
        keys = self.known_keys()
        return {"rows": self.paged(self.filter_form.matching(keys)), "total": len(keys)}

    def known_keys(self) -> list[CollectionKey]:
        known = KnownCollection.objects.visible_to(self.principal).filter(cluster=self.cluster)
        return list(known.values_list("db_name", "name"))

    def csv_rows(self) -> Iterator[Sequence[object]]:
        """Return the rows of all filtered collections. If the server does not answer at the
        beginning, they have the names of the last scan only.
        """
        rows = self.read_rows()
        try:
            first = next(rows, None)
        except ConsoleError:
            yield from self.known_rows()
            return
        yield from [first] if first else []
        yield from rows

    def known_rows(self) -> Iterator[Sequence[object]]:
        unknown = [None] * (len(CSV_HEADINGS) - 2)
        for key in self.filter_form.matching(self.known_keys()):
            yield (*key, *unknown)

    def read_rows(self) -> Iterator[Sequence[object]]:
        """Read the facts of one batch after the other, so that memory is bounded."""
        with reading(self.cluster) as contents:
            if contents.client is None:
                yield from self.known_rows()
            keys = self.filter_form.matching(contents.keys)
            deadline = time.monotonic() + EXPORT_FACTS_SECONDS
            for start in range(0, len(keys), CSV_BATCH_SIZE):
                left = deadline - time.monotonic()
                for row in contents.read(keys[start : start + CSV_BATCH_SIZE], left):
                    yield csv_row(row)

    def paged(self, keys: Sequence[tuple[str, str]]) -> Any:
        return Paginator(keys, self.page_size).get_page(self.request.GET.get("page"))


def csv_row(row: ListedCollection) -> Sequence[object]:
    indexes = [f"{index.field_name}: {index.index_type}" for index in row.facts.indexes or ()]
    return (
        row.db_name,
        row.name,
        row.facts.row_count,
        row.size_bytes,
        row.facts.load_state,
        row.facts.partition_count,
        ", ".join(row.facts.aliases or ()),
        ", ".join(indexes),
        row.coverage,
    )


class CollectionSummaryView(CollectionListView):
    """First collections of a cluster, which its page fetches after it is shown."""

    page_size = MAX_SUMMARY

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not wants_fragment(self.request):
            return redirect(self.address("cluster-collections"))
        self.filter_form = CollectionFilter({})
        context = {"cluster": self.cluster, "is_read": True} | self.listed()
        context["will_be_read"] = "problem" in context and self.cluster.status in BECOMING_READABLE
        return self.fragment("explorer/partials/cluster_collections.html", **context)


class CollectionPage(ClusterPage):
    """One collection. Its name is in the query, because other servers allow any name."""

    template_name = "explorer/collection_detail.html"

    @property
    def named(self) -> tuple[str, str]:
        values = self.request.POST if self.request.method == "POST" else self.request.GET
        return values.get("db_name") or DEFAULT_DATABASE, values.get("name", "")

    def context(self) -> dict[str, Any]:
        database, name = self.named
        collection, listed = describe_collection(self.cluster, database, name)
        indexes: dict[str, list[IndexDescription]] = defaultdict(list)
        for index in collection.indexes:
            indexes[index.field_name].append(index)
        return super().context() | {
            "db_name": database,
            "name": name,
            "max_rows": MAX_ROWS,
            "collection": collection,
            "listed": listed,
            "fields": [
                (field, indexes[field.name]) for field in collection.fields if not field.is_dynamic
            ],
        }


class CollectionDetailView(CollectionPage):
    scopes = {"GET": GET_CLUSTER}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.named[1]:
            return redirect(self.address("cluster-collections"))
        return self.page()


class CollectionRowsView(CollectionPage):
    """Page of a collection with its first rows, which are a tenant's data: each request is
    audited.
    """

    scopes = {"GET": GET_SERVICE_ACCESS, "POST": GET_SERVICE_ACCESS}
    action = "ReadCollectionRows"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Redirect a reload to the page without the rows."""
        database, name = self.named
        query = urlencode({"db_name": database, "name": name})
        return redirect(f"{self.address('collection-detail')}?{query}")

    def prepare(self) -> None:
        self.detail = f"collection {'.'.join(self.named)}"
        self.rows = first_rows(self.cluster, *self.named)
        self.described = self.context()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.page(first=self.rows, **self.described)

    def error_response(self, error: ConsoleError) -> HttpResponseBase:
        if isinstance(error, NotFound | PermissionDenied):
            return super().error_response(error)
        return self.page(status=status_of(error), refusal=error.message)


class ContentsChange(ClusterChange):
    """Change of databases or collections. The server is called before the transaction."""

    noun: ClassVar[str]
    done: ClassVar[str]
    """Message after the change. `{name}` is the name of the changed object."""

    def prepare(self) -> None:
        super().prepare()
        self.detail = f"{self.noun} {'.'.join(self.names)}"
        self.change(*self.names)

    def change(self, *names: str) -> None:
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        return (self.bound.cleaned_data["name"],)

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        messages.success(self.request, self.done.format(name=given["name"]))
        return redirect(self.address("cluster-collections"))

    def context(self) -> dict[str, Any]:
        asked = self.request.POST or self.request.GET
        return super().context() | {
            "back": self.address("cluster-collections"),
            "name": asked.get("name", ""),
            "db_name": asked.get("db_name", ""),
        }


class DatabaseCreateView(ContentsChange):
    action = "CreateDatabase"
    form_class = DatabaseForm
    template_name = "explorer/database_create.html"
    noun, done = "database", "Database {name} created."

    def change(self, *names: str) -> None:
        changes.create_database(self.cluster, *names)


class DatabaseDropView(ContentsChange):
    action = "DropDatabase"
    form_class = HiddenName
    template_name = "explorer/database_confirm_drop.html"
    noun, done = "database", "Database {name} dropped."

    def form_arguments(self) -> dict[str, Any]:
        return {"initial": {"name": self.request.GET.get("name", "")}}

    def change(self, *names: str) -> None:
        changes.drop_database(self.cluster, *names)


class CollectionChange(ContentsChange):
    form_class = CollectionForm
    noun = "collection"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Show the confirmation. An address without a name leads back to the list."""
        if not request.GET.get("name"):
            return redirect(self.address("cluster-collections"))
        return super().get(request, *args, **kwargs)

    def form_arguments(self) -> dict[str, Any]:
        asked = self.request.GET
        return {"initial": {"name": asked.get("name", ""), "db_name": asked.get("db_name", "")}}

    @property
    def names(self) -> tuple[str, ...]:
        given = self.bound.cleaned_data
        return given["db_name"], given["name"]

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        super().perform(given)
        database, name = self.names
        query = urlencode({"db_name": database, "name": name})
        return redirect(f"{self.address('collection-detail')}?{query}")


class CollectionLoadView(CollectionChange):
    action = "LoadCollection"
    template_name = "explorer/collection_load.html"
    done = "{name} is loaded or being loaded."

    def change(self, *names: str) -> None:
        changes.load_collection(self.cluster, *names)


class CollectionReleaseView(CollectionChange):
    action = "ReleaseCollection"
    template_name = "explorer/collection_release.html"
    done = "{name} released."

    def change(self, *names: str) -> None:
        changes.release_collection(self.cluster, *names)
