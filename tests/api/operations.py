"""Every operation of the API, read from the addresses themselves."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from django.urls import URLPattern

from backups.api import urls as backups_urls
from backups.policies import api_urls as policies_urls
from clusters.api import urls as clusters_urls
from vbase_console.api import urls as console_urls
from vbase_console.api.operations import Operation
from vbase_console.explorer import api_urls as explorer_urls
from vbase_console.search import api_urls as search_urls


@dataclasses.dataclass(frozen=True)
class Served:
    method: str
    path: str
    """As people write it: /v1/vbase/clusters/{cluster_id}"""
    operation: Operation

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def served() -> list[Served]:
    return list(_served())


def _served() -> Iterator[Served]:
    modules = (console_urls, search_urls, explorer_urls, clusters_urls, policies_urls, backups_urls)
    for pattern in itertools.chain.from_iterable(module.urlpatterns for module in modules):
        assert isinstance(pattern, URLPattern)
        path = "/v1/vbase/" + str(pattern.pattern).replace("<str:", "{").replace(">", "}")
        for method, operation in pattern.callback.view_class.operations.items():  # type: ignore[attr-defined]
            yield Served(method, path, operation)
