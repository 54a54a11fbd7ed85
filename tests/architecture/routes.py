"""Every route of the project, read from the resolver, and addresses made from it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern

PLACE = re.compile(r"<(?:\w+:)?(\w+)>")
NAMED_GROUP = re.compile(r"\(\?P<(\w+)>[^()]*\)")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
CHANGING = ("POST", "PUT", "PATCH", "DELETE")


@dataclasses.dataclass(frozen=True)
class Route:
    pattern: str
    name: str
    callback: Callable[..., Any]

    def __str__(self) -> str:
        return self.pattern

    @property
    def places(self) -> list[str]:
        return PLACE.findall(self.pattern)

    @property
    def interface(self) -> str:
        """API, ADMIN, ORGANIZATION (pages of one) or PERSON (pages of the signed-in user)."""
        if self.pattern.startswith("/v1/"):
            return "API"
        if self.pattern.startswith("/admin/"):
            return "ADMIN"
        return "ORGANIZATION" if self.pattern.startswith("/o/") else "PERSON"

    def address(self, values: Mapping[str, str]) -> str:
        return PLACE.sub(lambda place: values[place.group(1)], self.pattern)


def all_routes() -> list[Route]:
    return list(_routes("/", get_resolver()))


def _routes(prefix: str, resolver: URLResolver) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        pattern = prefix + _text(entry)
        if isinstance(entry, URLPattern):
            yield Route(pattern, entry.name or "", entry.callback)
        else:
            yield from _routes(pattern, entry)


def _text(entry: URLPattern | URLResolver) -> str:
    if not isinstance(entry.pattern, RegexPattern):
        return str(entry.pattern)
    text = NAMED_GROUP.sub(r"<\1>", entry.pattern.regex.pattern)
    return text.removeprefix("^").removesuffix("$").removesuffix(r"\Z")
