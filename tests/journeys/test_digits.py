"""The README's example, on the real data, against a real console."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.live import PROJECT, Api, Console, wait_for


@pytest.fixture(scope="module")
def said(console: Console, api: Api) -> str:
    command = [sys.executable, "examples/digits.py", "--address", console.url, "--delete"]
    environment = {**console.environment, "VBASE_API_KEY": api.key}
    done = subprocess.run(
        [*command, "--name", "digits"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_shows_how_the_deployment_goes(said: str) -> None:
    assert "SUCCEEDED 100 %" in said


def test_nearest_neighbours_carry_the_same_digit(said: str) -> None:
    """98.8 % is what an exact search of these images gives, whatever does it."""
    assert "for 1,776 of 1,797 images (98.8%)" in said


def test_they_come_back_bit_for_bit_after_a_drop(said: str) -> None:
    assert "The cluster has 0 collections. Restoring." in said
    assert "All 1,797 vectors are the same." in said
    assert "All 1,797 search results are the same." in said


def test_it_deletes_what_it_made(said: str, api: Api) -> None:
    listed = api.get(f"/list/{api.organization_id}?includeDeleted=true&pageSize=200")["services"]
    (digits,) = [each for each in listed if each["name"] == "digits"]
    wait_for(lambda: api.status(digits) == "DELETED")
    jobs = f"/{digits['serviceId']}/backup?jobType=DELETE"
    wait_for(lambda: [job["status"] for job in api.get(jobs)["jobs"]] == ["SUCCEEDED"])


def comparable(hits: list[tuple[int, float, int]]) -> object:
    from examples import digits  # imports scikit-learn, which no other test needs

    return digits.comparable(hits)


def test_the_order_of_rows_at_the_same_distance_does_not_count() -> None:
    """Fifth and sixth are equally far: each may be among the five nearest."""
    before = [(0, 0.0, 4), (7, 2.0, 4), (8, 2.0, 9), (1, 3.0, 4), (5, 6.0, 1)]
    after = [(0, 0.0, 4), (8, 2.0, 9), (7, 2.0, 4), (1, 3.0, 4), (6, 6.0, 4)]
    assert comparable(before) == comparable(after)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([(0, 0.0, 4), (7, 2.0, 4), (5, 7.0, 1)], id="another distance"),
        pytest.param([(0, 0.0, 4), (8, 2.0, 4), (5, 6.0, 1)], id="another row"),
        pytest.param([(0, 0.0, 4), (7, 2.0, 5), (5, 6.0, 1)], id="another digit"),
    ],
)
def test_another_result_counts(after: list[tuple[int, float, int]]) -> None:
    before = [(0, 0.0, 4), (7, 2.0, 4), (5, 6.0, 1)]
    assert comparable(before) != comparable(after)


def test_without_a_key_it_says_where_to_get_one() -> None:
    done = subprocess.run(
        [sys.executable, "examples/digits.py"], cwd=PROJECT, env={}, capture_output=True, text=True
    )
    assert re.search(r"issue_api_key --organization demo", done.stderr)
