from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from vbase_console.core.admin import ReadOnlyAdmin
from vbase_console.search.models import CollectionWord, SearchWord


@admin.register(SearchWord)
class SearchWordAdmin(ReadOnlyAdmin):
    list_display = ["word", "object_id", "organization"]
    list_select_related = []  # SQLite would sort the words of each organization
    ordering = ["-pk"]
    search_fields = ["^word", "=object_id"]
    search_help_text = "Beginning of a word, or object id"

    def get_queryset(self, request: HttpRequest) -> QuerySet[SearchWord]:
        words: QuerySet[SearchWord] = super().get_queryset(request)
        return words.prefetch_related("organization")


@admin.register(CollectionWord)
class CollectionWordAdmin(ReadOnlyAdmin):
    list_display = ["word", "collection", "organization"]
    list_select_related = ["collection", "organization"]
    search_fields = ["^word"]
    search_help_text = "Beginning of a word"
