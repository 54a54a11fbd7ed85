"""Labels in a query: the same answer for every key, on SQLite and on PostgreSQL.

Django's own lookups read a key of digits as a place in a list, and a quote in a key breaks the path
that they write for SQLite.
"""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, F, Func


class HasLabel(Func):
    """Whether the labels hold `key`; with a `value`, whether they hold it with that one."""

    output_field = BooleanField()

    def __init__(self, key: str, value: str | None = None) -> None:
        super().__init__(F("labels"))
        self.given = [key] if value is None else [key, value]

    def as_sqlite(
        self, compiler: Any, connection: Any, **context: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        labels, params = compiler.compile(self.source_expressions[0])
        test = " AND ".join(["key = %s", "value = %s"][: len(self.given)])
        sql = f"EXISTS (SELECT 1 FROM json_each({labels}) WHERE {test})"  # noqa: S608
        return sql, (*params, *self.given)

    def as_postgresql(
        self, compiler: Any, connection: Any, **context: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        labels, params = compiler.compile(self.source_expressions[0])
        test = "= %s" if len(self.given) == 2 else "IS NOT NULL"
        return f"(jsonb_extract_path_text({labels}, %s) {test})", (*params, *self.given)


def parse_label(text: str) -> tuple[str, str | None]:
    """`key=value` or `key` alone, for any value."""
    key, equals, value = text.partition("=")
    return key.strip(), value.strip() if equals else None
