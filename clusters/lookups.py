"""Database lookup for labels, with equal results on SQLite and PostgreSQL for every key.

Django's own lookups treat a key of digits as a list index, and a quote in a key breaks the path
that they generate for SQLite.
"""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, F, Func


class HasLabel(Func):
    """True if the labels contain `key`, and if `value` is given, with this value."""

    output_field = BooleanField()

    def __init__(self, key: str, value: str | None = None) -> None:
        super().__init__(F("labels"))
        self.parameters = [key] if value is None else [key, value]

    def as_sqlite(
        self, compiler: Any, connection: Any, **context: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        labels, params = compiler.compile(self.source_expressions[0])
        test = " AND ".join(["key = %s", "value = %s"][: len(self.parameters)])
        sql = f"EXISTS (SELECT 1 FROM json_each({labels}) WHERE {test})"  # noqa: S608
        return sql, (*params, *self.parameters)

    def as_postgresql(
        self, compiler: Any, connection: Any, **context: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        labels, params = compiler.compile(self.source_expressions[0])
        test = "= %s" if len(self.parameters) == 2 else "IS NOT NULL"
        return f"(jsonb_extract_path_text({labels}, %s) {test})", (*params, *self.parameters)


def parse_label(text: str) -> tuple[str, str | None]:
    """Split `key=value`. The value of a `key` alone is None and matches any value."""
    key, equals, value = text.partition("=")
    return key.strip(), value.strip() if equals else None
