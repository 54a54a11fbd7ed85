from __future__ import annotations

from typing import Any

from vbase_console.core.errors import InvalidArgument
from vbase_console.organizations.scopes import ANY_MEMBER
from vbase_console.search.results import MAX_LENGTH, find
from vbase_console.web.views import Page


class SearchView(Page):
    scopes = {"GET": ANY_MEMBER}
    template_name = "search/search.html"
    nav = "search"

    def context(self) -> dict[str, Any]:
        text = self.request.GET.get("q", "").strip()
        context = {"q": text, "max_length": MAX_LENGTH}
        if not text:
            return context
        try:
            return context | {"results": find(self.principal, text)}
        except InvalidArgument as error:
            return context | {"problem": " ".join(error.field_errors["q"])}
