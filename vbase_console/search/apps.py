from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save


class SearchConfig(AppConfig):
    name = "vbase_console.search"
    label = "search"

    def ready(self) -> None:
        from backups.protection import observers
        from vbase_console.search.object_names import names_of
        from vbase_console.search.words import NAMED, index_collections, index_saved, remove_deleted
        from vbase_console.web import wording

        wording.names_of.register(names_of)
        observers.collections_added.register(index_collections)

        for model in NAMED:
            post_save.connect(index_saved, sender=model)
            post_delete.connect(remove_deleted, sender=model)
