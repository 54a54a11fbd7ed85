"""Live parts of pages: what an open page requests, and what it is sent. See docs/live-pages.md."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse

from vbase_console.core.hooks import Query
from vbase_console.organizations.tenancy import Principal

HEADER = "Live-Parts"
"""Request header: `id=mark` of each part on the page, separated by commas."""
READER_HEADER = "Live-Reader"
"""Request header: digest of the user, the organization and the scopes that the page was rendered
for.
"""
MAX_PARTS = 300
CSRF_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')
RELATIVE_TIME = re.compile(r'(<time datetime="[^"]*")[^>]*>[^<]*(?=</time>)')


@Query
def progress_of(principal: Principal, known: Mapping[str, str]) -> dict[str, str] | None:
    """Render the parts that show progress and differ from the known marks. Returns None if other
    parts may differ, too. The task engine implements it.
    """
    return {}


def digest(*shown: object) -> str:
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:10]


@dataclasses.dataclass(kw_only=True)
class LivePart:
    """Element of a page with a mark that changes with its content."""

    id: str
    mark: str
    html: str
    inner: list[LivePart] = dataclasses.field(default_factory=list)


class Live:
    """Live parts of one response, and those that the requesting page has."""

    def __init__(self, request: HttpRequest, principal: Principal) -> None:
        header = request.headers.get(HEADER)
        self.principal = principal
        self.is_requested = header is not None and request.method == "GET"
        pairs = (entry.partition("=") for entry in (header or "").split(",")[:MAX_PARTS])
        self.known = {part_id: mark for part_id, _, mark in pairs if part_id}
        self.version = principal.version
        self.reader = digest(principal.user_id, principal.organization_id, sorted(principal.scopes))
        self.is_of_another_reader = request.headers.get(READER_HEADER, self.reader) != self.reader
        self.page = digest(self.reader, principal.session_hash, request.get_full_path())
        self.is_same_version = (
            self.version.is_settled and request.headers.get("If-None-Match") == f'"{self.mark}"'
        )
        self.parts: list[LivePart] = []

    @property
    def mark(self) -> str:
        """Version, access and address for the page to send with its next request; empty if it must
        equal nothing.
        """
        return f"{self.version.number}-{self.page}" if self.version.is_settled else ""

    def add(self, part: LivePart) -> None:
        self.parts.append(part)

    def answer_without_page(self) -> HttpResponse | None:
        """Answer if the version is the same and no shown task is in another phase."""
        if not (self.is_requested and self.is_same_version):
            return None
        parts = progress_of(self.principal, self.known)
        if parts is None:
            return None
        return self._json(parts) if parts else HttpResponseNotModified()

    def answer(self) -> HttpResponse:
        """Send the parts that differ from those of the page."""
        return self._json({part.id: part.html for part in self._changed(self.parts)})

    def _changed(self, parts: list[LivePart]) -> Iterator[LivePart]:
        for part in parts:
            if self.known.get(part.id) != part.mark:
                yield part
            else:
                yield from self._changed(part.inner)

    def _json(self, parts: Mapping[str, str]) -> HttpResponse:
        return JsonResponse({"version": self.mark, "parts": parts})


def marked(html: str, mark: str, *, is_busy: bool = False) -> str:
    """Add the mark to the first tag of an element, after its id."""
    attributes = f' data-live="{mark}"' + (' data-busy=""' if is_busy else "")
    return re.sub(r'^<[^>]*?\sid="[\w-]+"', lambda tag: tag[0] + attributes, html, count=1)


def content_mark(html: str, inner: list[LivePart], *, is_busy: bool) -> str:
    """Digest of a part without the parts inside, tokens that differ each time, and the words of
    relative times, which the page's script keeps up to date.
    """
    for part in inner:
        html = html.replace(part.html, part.id)
    return digest(RELATIVE_TIME.sub(r"\1>", CSRF_TOKEN.sub("", html)), is_busy)
