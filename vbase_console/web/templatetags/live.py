"""Template tag of live parts: `{% live %}…{% endlive %}`."""

from __future__ import annotations

import re

from django import template
from django.template.base import FilterExpression, Parser, Token
from django.utils.safestring import SafeString, mark_safe

from vbase_console.web.live import Live, LivePart, content_mark, digest, marked

register = template.Library()
ID = re.compile(r'<[^>]*?\sid="([\w-]+)"')


class LiveNode(template.Node):
    """One element with an id. `mark` replaces the digest of the content, which is then not rendered
    for a page that has it.
    """

    def __init__(self, nodes: template.NodeList, mark: FilterExpression | None) -> None:
        self.nodes, self.mark = nodes, mark

    def render(self, context: template.Context) -> SafeString:
        live: Live | None = getattr(context.get("request"), "live", None)
        outer = live.parts if live else []
        inner: list[LivePart] = []
        if live:
            live.parts = inner
        html = self.nodes.render(context).strip()
        if live:
            live.parts = outer
        id_match = ID.match(html)
        if id_match is None:
            return mark_safe(html)  # noqa: S308
        is_busy = bool(context.get("reload"))
        mark = (
            digest(self.mark.resolve(context))
            if self.mark is not None
            else content_mark(html, inner, is_busy=is_busy)
        )
        html = marked(html, mark, is_busy=is_busy)
        outer.append(LivePart(id=id_match[1], mark=mark, html=html, inner=inner))
        return mark_safe(html)  # noqa: S308


@register.tag("live")
def live_part(parser: Parser, token: Token) -> LiveNode:
    arguments = token.split_contents()[1:]
    nodes = parser.parse(("endlive",))
    parser.delete_first_token()
    return LiveNode(nodes, parser.compile_filter(arguments[0]) if arguments else None)
