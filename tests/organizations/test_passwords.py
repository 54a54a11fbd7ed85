"""Password hashing is bounded, so that sign-ins keep no other request waiting."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import User
from django.test import Client

from tests.conftest import PASSWORD
from tests.tasks.together import together
from vbase_console.core.errors import ResourceExhausted
from vbase_console.organizations import passwords
from vbase_console.organizations.passwords import MAX_WAITING, HashingSlots
from vbase_console.settings import base


@pytest.fixture
def bounded(settings: Any) -> None:
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS


@pytest.fixture
def busy(alice: User, bounded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many threads hash or wait as may."""
    monkeypatch.setattr(passwords, "slots", HashingSlots())
    for _ in range(MAX_WAITING):
        passwords.slots._admitted.acquire()


def test_a_hash_is_the_one_that_django_makes(bounded: None) -> None:
    stored = make_password("secret")
    assert stored.startswith("pbkdf2_sha256$")
    assert check_password("secret", stored)


@pytest.mark.parametrize("address", ["/sign-in", "/admin/login/"])
def test_a_sign_in_beyond_the_bound_is_told_when_to_try_again(
    busy: None, client: Client, alice: User, address: str
) -> None:
    given = {"username": "alice@example.com", "password": PASSWORD}
    answer = client.post(address, given)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert b"Too many sign-ins" in answer.content


def test_a_sign_in_beyond_the_bound_is_no_wrong_password(
    busy: None, client: Client, alice: User
) -> None:
    client.post("/sign-in", {"username": "alice@example.com", "password": "wrong"})
    assert not AccessAttempt.objects.exists()


def test_an_unknown_account_costs_a_hash_as_well(busy: None, client: Client, db: None) -> None:
    given = {"username": "unknown@example.com", "password": "wrong"}
    assert client.post("/sign-in", given).status_code == 429


@pytest.mark.django_db
def test_of_many_at_once_one_hashes_and_few_wait() -> None:
    slots, inside, most = HashingSlots(), [], []

    def hash_once(number: int) -> bool:
        try:
            with slots.one():
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)
        except ResourceExhausted:
            return False
        return True

    together(16, hash_once)
    assert max(most) == 1


def test_a_slot_that_stays_taken_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)
    slots = HashingSlots()
    with ExitStack() as held:
        held.enter_context(slots.one())
        with pytest.raises(ResourceExhausted), slots.one():
            pass
    with slots.one():
        pass
