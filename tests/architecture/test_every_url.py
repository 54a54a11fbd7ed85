"""Every address of the project, walked as the people who should not get in."""

from __future__ import annotations

import pytest

from tests.architecture import walker
from tests.architecture.cast import Cast
from tests.architecture.routes import all_routes

CARELESS = "tests.architecture.careless_urls"


def test_the_walker_knows_what_stands_in_every_address() -> None:
    assert walker.unknown_places() == []


def test_a_stranger_finds_nothing(people: Cast) -> None:
    answers = walker.walk_of_a_stranger(people)
    assert walker.let_in(answers) == []
    answers += walker.walk(people, "stranger", "ADMIN", methods=("GET",))
    assert walker.shown_the_token(answers, people) == []


def test_a_member_without_the_right_reads_the_pages_that_are_agreed_and_is_refused_all_else(
    people: Cast,
) -> None:
    answers = walker.walk(people, "viewer", "API", "ORGANIZATION", "PERSON")
    assert walker.let_act(answers) == []
    assert walker.shown_otherwise_than_agreed(answers) == []
    answers += walker.walk(people, "viewer", "ADMIN", methods=("GET",))
    assert walker.shown_the_token(answers, people) == []


def test_nobody_is_let_in(people: Cast) -> None:
    assert walker.not_turned_away(walker.walk(people, "nobody")) == []


def test_members_of_organizations_do_not_get_into_the_admin(people: Cast) -> None:
    assert walker.not_turned_away(walker.walk(people, "owner", "ADMIN")) == []


def test_the_owner_finds_everything_that_was_walked(people: Cast) -> None:
    answers = walker.walk(people, "owner", "API", "ORGANIZATION", methods=("GET",))
    assert walker.hidden(answers) == []


def test_what_is_exempt_exists() -> None:
    exempt = {*walker.OPEN, *walker.FOR_EVERY_MEMBER, *walker.ABOUT_THE_CALLER, *walker.BODIES}
    exempt |= walker.READ_BY_VIEWERS.keys() | walker.NOT_FOUND_BY_THE_OWNER.keys()
    assert exempt - {route.pattern for route in all_routes()} == set()


def test_every_page_that_changes_something_asks_for_a_csrf_token() -> None:
    careless = [
        route.pattern
        for route in all_routes()
        if route.interface != "API" and getattr(route.callback, "csrf_exempt", False)
        if route.pattern not in walker.OPEN
    ]
    assert careless == []


@pytest.mark.urls(CARELESS)
def test_it_is_red_for_a_view_without_protection(people: Cast) -> None:
    leak = f"GET /v1/vbase/leak/{people.mine.cluster.cluster_id}"
    assert f"{leak} answers stranger with 200." in walker.let_in(walker.walk_of_a_stranger(people))
    assert f"{leak} answers nobody with 200." in walker.not_turned_away(
        walker.walk(people, "nobody")
    )
    assert f"{leak} answers viewer with 200." in walker.let_act(walker.walk(people, "viewer"))


@pytest.mark.urls(CARELESS)
def test_it_is_red_for_a_page_that_asks_only_for_a_membership(people: Cast) -> None:
    cluster = people.mine.cluster.cluster_id
    strangers, viewers = walker.walk_of_a_stranger(people), walker.walk(people, "viewer")
    through_own_door = f"/o/other/leak/{cluster}"
    assert f"GET {through_own_door} answers stranger with 200." in walker.let_in(strangers)
    tokens = walker.shown_the_token(strangers + viewers, people)
    assert f"{through_own_door} shows stranger an access token." in tokens
    assert f"/o/acme/leak/{cluster} shows viewer an access token." in tokens
    seen = walker.shown_otherwise_than_agreed(viewers)
    assert f"GET /o/acme/leak/{cluster} answers viewer with 200." in seen


@pytest.mark.urls(CARELESS)
def test_it_says_what_to_add_for_a_part_that_it_does_not_know() -> None:
    (complaint,) = walker.unknown_places()
    assert "'mystery'" in complaint
    assert "Add it to VALUES in tests/architecture/cast.py" in complaint
