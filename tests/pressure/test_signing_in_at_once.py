"""Sixteen people sign in at the same moment, with real password hashes and web processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.live import Console

PEOPLE = 16


def test_some_are_answered_and_the_others_told_when_to_try_again(pressed: Console) -> None:
    with ThreadPoolExecutor(PEOPLE) as pool:
        answers = list(pool.map(lambda number: _wrong(pressed, number), range(PEOPLE)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {422, 429}
    assert all(int(answer.headers["Retry-After"]) for answer in refused)


def _wrong(console: Console, number: int) -> httpx.Response:
    with httpx.Client(base_url=console.url, timeout=60) as client:
        client.get("/sign-in")
        given = {
            "username": f"p{number}@example.com",
            "password": "wrong",
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
        }
        return client.post("/sign-in", data=given)
