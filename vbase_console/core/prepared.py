"""Queries that are compiled once. Django needs longer to compile a query for one row than the
database to execute it, so that frequent questions of open pages would cost mostly that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

Value = str | int | UUID


class Prepared:
    """Query with places for values. Its rows are as the driver returns them: booleans may be 0 and
    1, and a UUID may be text.
    """

    def __init__(
        self, build: Callable[..., QuerySet[Any, tuple[Any, ...]]], *places: Value
    ) -> None:
        """`build` is called once, with the places as arguments: values that equal no other
        parameter of the query.
        """
        self._build, self._places = build, places

    @cached_property
    def _compiled(self) -> tuple[str, tuple[Any, ...]]:
        sql, parameters = self._build(*self._places).query.sql_with_params()
        missing = {_stored(place) for place in self._places} - set(parameters)
        if missing:
            raise ValueError(f"The query has no parameter for {missing}.")
        return sql, parameters

    def rows(self, *values: Value) -> list[tuple[Any, ...]]:
        sql, parameters = self._compiled
        value_of = dict(zip(map(_stored, self._places), map(_stored, values), strict=True))
        with connection.cursor() as cursor:
            cursor.execute(sql, [value_of.get(parameter, parameter) for parameter in parameters])
            return list(cursor.fetchall())


def _stored(value: Value) -> Value:
    is_text = isinstance(value, UUID) and not connection.features.has_native_uuid_field
    return value.hex if is_text else value  # type: ignore[union-attr]
