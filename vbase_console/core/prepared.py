"""Queries that are compiled once. Django needs longer to compile a query for one row than the
database to execute it, so that frequent questions of open pages would cost mostly that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import QuerySet

Value = str | int | UUID
NUMBERS_OF_IDS = (1, 20, 200)
"""Numbers of ids in the prepared statements. Shorter lists are filled up with empty ids."""


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


class PreparedByIds:
    """Query for rows of some ids. Its values have the types of their model fields."""

    def __init__(self, build: Callable[[Sequence[str]], QuerySet[Any, tuple[Any, ...]]]) -> None:
        """`build` is called once for each of `NUMBERS_OF_IDS`, and filters by all ids alike."""
        self._build = build
        self._statements: dict[int, Prepared] = {}

    def rows(self, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        most = NUMBERS_OF_IDS[-1]
        for first in range(0, len(ids), most):
            some = ids[first : first + most]
            size = next(size for size in NUMBERS_OF_IDS if size >= len(some))
            yield from map(
                self._typed, self._statement(size).rows(*some, *[""] * (size - len(some)))
            )

    def _statement(self, size: int) -> Prepared:
        if size not in self._statements:
            places = [f"<id {number}>" for number in range(size)]
            self._statements[size] = Prepared(lambda *places: self._build(places), *places)
        return self._statements[size]

    @cached_property
    def _converters(self) -> list[tuple[int, list[Any], Any]]:
        """Position, functions and expression of each column that the driver returns otherwise."""
        compiler = self._build([""]).query.get_compiler(DEFAULT_DB_ALIAS)
        compiler.as_sql()
        converters = compiler.get_converters([column for column, *_ in compiler.select])
        return [(position, *found) for position, found in converters.items()]

    def _typed(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = list(row)
        for position, functions, expression in self._converters:
            for convert in functions:
                values[position] = convert(values[position], expression, connection)
        return tuple(values)


def _stored(value: Value) -> Value:
    is_text = isinstance(value, UUID) and not connection.features.has_native_uuid_field
    return value.hex if is_text else value  # type: ignore[union-attr]
