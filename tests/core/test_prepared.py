"""Statements for rows of some ids are compiled once, and answer what the ORM answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from tests.conftest import make_user
from vbase_console.core.prepared import NUMBERS_OF_IDS, PreparedByIds

MOST = NUMBERS_OF_IDS[-1]
pytestmark = pytest.mark.django_db


def _people(names: Sequence[str]) -> QuerySet[User, tuple[Any, ...]]:
    rows = User.objects.filter(username__in=names).order_by("username")
    return rows.values_list("username", "is_staff", "date_joined", "last_login")


def names(number: int) -> list[str]:
    return [f"{position:04}@example.com" for position in range(number)]


@pytest.fixture
def people() -> list[User]:
    return [make_user(name.partition("@")[0]) for name in names(2)]


@pytest.mark.parametrize("number", [0, 1, 2, MOST, MOST + 1])
def test_it_answers_what_the_orm_answers(people: list[User], number: int) -> None:
    found = list(PreparedByIds(_people).rows(names(number)))
    assert found == list(_people(names(number)))


def test_the_values_have_the_types_of_the_model(people: list[User]) -> None:
    ((name, is_staff, joined, last_login),) = PreparedByIds(_people).rows(names(1))
    assert (name, is_staff, last_login) == (names(1)[0], False, None)
    assert joined == people[0].date_joined


def test_more_ids_than_the_longest_statement_take_a_second_one(people: list[User]) -> None:
    with CaptureQueriesContext(connection) as statements:
        list(PreparedByIds(_people).rows(names(MOST + 1)))
    assert len(statements) == 2
