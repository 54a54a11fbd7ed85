from __future__ import annotations

from collections.abc import Sequence

from django import forms

from backups.policies.observers import CollectionKey
from vbase_console.web.lists import FilterForm


class CollectionFilter(FilterForm):
    """Filter of names that a server has listed, not of rows."""

    q = forms.CharField(label="Collection", required=False, max_length=255)
    db_name = forms.CharField(label="Database", required=False, max_length=255)

    def matching(self, keys: Sequence[CollectionKey]) -> list[CollectionKey]:
        text, database = self.text("q").casefold(), self.text("db_name")
        return [
            (db_name, name)
            for db_name, name in keys
            if text in name.casefold() and database in ("", db_name)
        ]
