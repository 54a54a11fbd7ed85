from __future__ import annotations

from django.contrib import admin

from vbase_console.core.admin import ReadOnlyAdmin
from vbase_console.search.models import CollectionWord, SearchWord


@admin.register(SearchWord)
class SearchWordAdmin(ReadOnlyAdmin):
    list_display = ["word", "object_id", "organization"]
    list_select_related = ["organization"]
    search_fields = ["^word", "=object_id"]
    search_help_text = "Beginning of a word, or object id"


@admin.register(CollectionWord)
class CollectionWordAdmin(ReadOnlyAdmin):
    list_display = ["word", "collection", "organization"]
    list_select_related = ["collection", "organization"]
    search_fields = ["^word"]
    search_help_text = "Beginning of a word"
